"""A rule in words, for people who read a terminal."""

from exporter.rules.rule import GATEWAY, Rule

_SIGNS = {"USD": "$", "CNY": "¥"}
_SCOPES = {"channel": "channel", "model": "model", "api_key": "API key", "user": "user"}


def scope(name: str, count: int = 1) -> str:
    """Name what a scope holds: a channel, several API keys."""
    return _SCOPES[name] + ("s" if count != 1 else "")


def described(rule: Rule) -> str:
    """Say what a rule looks at and what it does, in one line."""
    parts = [f"{rule.type} of {_targets(rule)}"]
    if rule.has_window:
        parts.append(f"in {rule.period}" if rule.period != "today" else "today")
    if rule.type == "latency":
        parts.append(f"({rule.statistic})")
    if rule.type == "error_rate" and rule.count == "all":
        parts.append("(with the clients' own mistakes)")
    if rule.projected:
        parts.append("at its pace")
    if rule.threshold is not None:
        parts.append(
            f"{'below' if rule.type == 'quota_low' else 'from'} {amount(rule, rule.threshold)}"
        )
    text = f"{' '.join(parts)}: {rule.severity}, {rule.action}"
    if rule.notify == "telegram":
        return text
    return f"{text}, {'nobody is told' if rule.action == 'notify' else 'only the breaker tells'}"


def amount(rule: Rule, value: float) -> str:
    """Give a value in the unit of a rule's threshold."""
    if rule.type in {"cost", "quota_low"}:
        sign = "-" if value < 0 else ""
        return f"{sign}{_SIGNS[rule.currency]}{abs(value):,.2f}"
    if rule.type == "token_usage":
        return f"{value:,.0f} tokens"
    return f"{value:,.4g} {'s' if rule.type == 'latency' else '%'}"


def _targets(rule: Rule) -> str:
    if rule.scope == GATEWAY:
        return "the whole gateway"
    if rule.each:
        return f"each {scope(rule.scope)}"
    return f"{scope(rule.scope, len(rule.targets))} {', '.join(rule.targets)}"
