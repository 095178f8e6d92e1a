"""Switches a rule on or off in its file, and leaves every other character as it is."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import yaml

from exporter.rules.file import RulesError, compose, read_rules, read_text

_ENABLED = "enabled"


def switch(path: Path, name: str, *, enabled: bool) -> bool:
    """Enable or disable a rule by name; tells whether the file was changed.

    Raises:
        RulesError: the file has a mistake, has no such rule, or cannot be written.
    """
    text = read_text(path)
    if text is None:
        raise RulesError(f"{path}: there is no such file")
    rules = read_rules(text, str(path)).rules
    index = next((n for n, rule in enumerate(rules) if rule.name == name), None)
    if index is None:
        known = ", ".join(repr(rule.name) for rule in rules) or "none"
        raise RulesError(f"{path}: no rule is named {name!r}; the rules are {known}")
    if rules[index].enabled == enabled:
        return False
    edited = _edited(text, index, "true" if enabled else "false")
    wanted = [r.model_copy(update={_ENABLED: enabled}) if r is rules[index] else r for r in rules]
    try:
        right = list(read_rules(edited, str(path)).rules) == wanted
    except RulesError:
        right = False
    if not right:  # two rules share the key by an anchor, perhaps
        raise RulesError(f"{path}: {name!r} cannot be switched without changing more; edit it")
    _write(path, edited)
    return True


def _edited(text: str, index: int, value: str) -> str:
    root = compose(text)
    rules = _value(root, "rules")
    if not isinstance(rules, yaml.SequenceNode):
        raise TypeError("a file with rules has a list of them")
    rule = rules.value[index]
    old = _value(rule, _ENABLED)
    if old is not None:
        return text[: old.start_mark.index] + value + text[old.end_mark.index :]
    first = rule.value[0][0].start_mark
    if rule.flow_style:
        return f"{text[: first.index]}{_ENABLED}: {value}, {text[first.index :]}"
    # Behind the line of the name, where people look for it; before all keys if that spans lines.
    named = _value(rule, "name")
    newline = "\r\n" if "\r\n" in text else "\n"
    if named is None or named.start_mark.line != named.end_mark.line:
        line = f"{_ENABLED}: {value}{newline}{' ' * first.column}"
        return text[: first.index] + line + text[first.index :]
    end = text.find("\n", named.end_mark.index)
    line = f"{' ' * first.column}{_ENABLED}: {value}"
    if end < 0:
        return f"{text}{newline}{line}{newline}"
    return f"{text[: end + 1]}{line}{newline}{text[end + 1 :]}"


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    """Give the value of a key that stands in a mapping itself, not merged into it."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _write(path: Path, text: str) -> None:
    """Replace the file as a whole; where it cannot be replaced, as a mount, write into it."""
    real = path.resolve()
    content = text.encode()
    try:
        handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            stat = real.stat()
            Path(name).chmod(stat.st_mode & 0o7777)
            with suppress(PermissionError):
                os.chown(name, stat.st_uid, stat.st_gid)
            Path(name).replace(real)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError:
        try:
            real.write_bytes(content)
        except OSError as error:
            raise RulesError(f"{path}: it cannot be written: {error.strerror}") from None
