"""Which rules are in force while the file is written, broken, removed and mended."""

import logging
import os
import threading
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from exporter.rulebook import Rulebook
from exporter.rules.file import RuleFile, read_rules
from exporter.status import Status

GOOD = "rules: [{name: %s, type: token_usage, threshold: 5}]\n"
BROKEN = "rules: [{name: a, type: token_usage}]\n"


class Book:
    """A rulebook on a file of its own."""

    def __init__(self, folder: Path) -> None:
        self.file, self.copy = folder / "alerts.yml", folder / "state" / "alerts.yml"
        self.copy.parent.mkdir(exist_ok=True)
        self.status = Status()
        self.begin()

    def begin(self) -> None:
        self.rulebook = Rulebook(self.file, self.copy, self.status, ZoneInfo("UTC"))

    def refresh(self) -> bool:
        """Look twice, as what is read counts only then."""
        return any([self.rulebook.refresh(), self.rulebook.refresh()])

    def names(self) -> list[str]:
        return [rule.name for rule in self.rulebook.rules]


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)


def test_the_file_is_followed_and_only_a_change_counts(book: Book) -> None:
    book.file.write_text(GOOD % "a")
    assert book.refresh()
    assert book.names() == ["a"]
    assert not book.refresh()
    book.file.write_text(f"# a remark\n{GOOD % 'a'}")
    assert not book.refresh()
    book.file.write_text(GOOD % "b")
    assert book.refresh()
    assert book.names() == ["b"]
    assert book.rulebook.good


def test_a_mistake_leaves_the_rules_in_force_and_is_said_once(
    book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    book.file.write_text(GOOD % "a")
    book.refresh()
    book.file.write_text(BROKEN)
    with caplog.at_level(logging.WARNING):
        assert not book.refresh()
        assert not book.refresh()
    assert book.names() == ["a"]
    assert not book.rulebook.good
    assert len(caplog.messages) == 1
    assert f"{book.file}:1: threshold: the key is missing" in caplog.messages[0]
    assert book.status.errors["rules"] == 1

    book.file.write_text(GOOD % "a")
    assert not book.refresh()
    assert book.rulebook.good


def test_a_mistake_at_the_start_brings_back_the_last_good_rules(book: Book) -> None:
    book.file.write_text(GOOD % "a")
    book.refresh()
    book.file.write_text(BROKEN)
    book.refresh()
    book.begin()
    assert book.refresh()
    assert book.names() == ["a"]
    assert not book.rulebook.good


def test_what_no_reader_expects_is_a_mistake_too(
    book: Book, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    book.file.write_text(GOOD % "a")
    book.refresh()

    def fails(text: str, name: str) -> RuleFile:
        if "fails" in text:
            raise OverflowError
        return read_rules(text, name)

    monkeypatch.setattr("exporter.rulebook.read_rules", fails)
    book.file.write_text(GOOD % "fails")
    assert not book.refresh()
    assert (book.names(), book.rulebook.good) == (["a"], False)
    assert "it cannot be read, OverflowError" in caplog.text
    book.begin()
    assert book.refresh()
    assert (book.names(), book.rulebook.good) == (["a"], False)


@pytest.mark.parametrize("copy", [None, BROKEN.encode(), b"\xff\xfe"])
def test_a_mistake_at_the_start_without_a_good_copy_leaves_no_rules(
    book: Book, copy: bytes | None
) -> None:
    book.file.write_text(BROKEN)
    if copy is not None:
        book.copy.write_bytes(copy)
    assert book.refresh()
    assert book.names() == []
    assert not book.rulebook.good


def test_a_file_that_is_missing_or_removed_has_no_rules_and_says_so_in_one_line(
    book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    assert book.refresh()
    assert book.names() == []
    assert book.rulebook.good
    assert caplog.messages == [f"{book.file}: there is no such file, so there are no alert rules"]
    book.file.write_text(GOOD % "a")
    assert book.refresh()
    book.file.unlink()
    assert book.refresh()
    assert not book.refresh()
    assert book.names() == []
    assert len(caplog.messages) == 2


def test_a_file_that_is_removed_leaves_the_last_good_copy(book: Book) -> None:
    book.file.write_text(GOOD % "a")
    book.refresh()
    book.file.unlink()
    book.refresh()
    assert book.copy.read_text() == GOOD % "a"
    book.begin()
    book.refresh()
    assert book.names() == []
    book.begin()
    book.file.write_text(BROKEN)
    book.refresh()
    assert book.names() == ["a"]


@pytest.mark.parametrize("between", [None, "", GOOD[:20], "rules: []\n"])
def test_what_an_editor_leaves_for_a_moment_does_not_count(book: Book, between: str | None) -> None:
    book.file.write_text(GOOD % "a")
    book.refresh()
    if between is None:
        book.file.unlink()
    else:
        book.file.write_text(between)
    assert not book.rulebook.refresh()
    book.file.write_text(GOOD % "b")
    assert not book.rulebook.refresh()
    assert (book.names(), book.rulebook.good) == (["a"], True)
    assert book.rulebook.refresh()
    assert book.names() == ["b"]


@pytest.mark.parametrize("unreadable", ["a folder", "not UTF-8"])
def test_a_file_that_cannot_be_read_leaves_the_rules_in_force(
    book: Book, unreadable: str, caplog: pytest.LogCaptureFixture
) -> None:
    book.file.write_text(GOOD % "a")
    book.refresh()
    book.file.unlink()
    if unreadable == "a folder":
        book.file.mkdir()
    else:
        book.file.write_bytes(b"\xff\xfe")
    with caplog.at_level(logging.WARNING):
        assert not book.refresh()
        assert not book.refresh()
    assert book.names() == ["a"]
    assert not book.rulebook.good
    assert len(caplog.messages) == 1


@pytest.mark.timeout(20)
def test_what_is_in_force_is_what_was_compared(book: Book) -> None:
    """A pipe gives its text once: a second look could find another file, or none."""
    os.mkfifo(book.file)
    writer = threading.Thread(target=book.file.write_text, args=(GOOD % "a",), daemon=True)
    writer.start()
    assert book.rulebook.refresh()
    assert book.names() == ["a"]
    writer.join()


def test_the_copy_is_never_half_written(book: Book) -> None:
    book.file.write_text(GOOD % "a")
    book.refresh()
    seen = book.copy.stat().st_ino
    with book.copy.open() as before:
        book.file.write_text(GOOD % "b")
        book.refresh()
        assert before.read() == GOOD % "a"
    assert book.copy.read_text() == GOOD % "b"
    assert book.copy.stat().st_ino != seen
    assert [path.name for path in book.copy.parent.iterdir()] == ["alerts.yml"]


def test_a_copy_that_cannot_be_kept_is_said_and_the_rules_hold(
    book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    book.copy.mkdir()
    book.file.write_text(GOOD % "a")
    assert book.refresh()
    assert book.names() == ["a"]
    assert "no copy of the rules is kept" in caplog.text
    book.file.write_text(BROKEN)
    assert not book.refresh()
    assert book.names() == ["a"]
