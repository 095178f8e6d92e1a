"""A test of the way of a notice: through the real Alertmanager, to where people read it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import requests
from prometheus_client.parser import text_string_to_metric_families

from breaker.notice import Notice

_REQUESTS = "alertmanager_notification_requests_total"
_FAILED = "alertmanager_notification_requests_failed_total"
_NOT_FOR_PEOPLE = {"webhook"}
"""Integrations whose requests say nothing: alerts go to the breaker by webhook all the time."""

_AGAIN = 0.5
_TIMEOUT = 5

Counts = dict[str, tuple[float, float]]
"""By integration, as telegram: requests, and those of them that failed."""


class TrialError(Exception):
    """The notice did not arrive, as far as can be told; the text is one line."""


def send(url: str, notice: Notice, wait: float, sleep: Callable[[float], None] = time.sleep) -> str:
    """Send a notice and see what Alertmanager does with it.

    Args:
        url: Alertmanager's base URL.
        notice: what to send.
        wait: seconds to wait for a message to leave Alertmanager.
        sleep: waits between two looks.

    Returns:
        The integration by which it left, as telegram.

    Raises:
        TrialError: Alertmanager did not take it, could not deliver it, or told nobody.
    """
    base = url.rstrip("/")
    with requests.Session() as session:
        session.trust_env = False
        before = _counts(session, base)
        now = datetime.now(UTC)
        alert = {
            "labels": notice.labels | {"sent_at": now.isoformat(timespec="milliseconds")},
            "annotations": notice.annotations,
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(minutes=5)).isoformat(),
        }
        _ask(session, "POST", f"{base}/api/v2/alerts", [alert])
        failed = ""
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            for name, (done, bad) in sorted(_counts(session, base).items()):
                done_before, bad_before = before.get(name, (0.0, 0.0))
                if done - bad > done_before - bad_before:
                    return name
                if bad > bad_before:
                    failed = name
            sleep(_AGAIN)
    if failed:
        raise TrialError(f"Alertmanager could not deliver it by {failed}; its log says why")
    raise TrialError(
        f"Alertmanager took it, and told nobody within {wait:.0f} s: is a receiver configured,"
        " as by TELEGRAM_BOT_TOKEN?"
    )


def _counts(session: requests.Session, base: str) -> Counts:
    page = _ask(session, "GET", f"{base}/metrics").text
    counts: Counts = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            name = sample.labels.get("integration", "")
            if name in _NOT_FOR_PEOPLE or sample.name not in {_REQUESTS, _FAILED}:
                continue
            done, bad = counts.get(name, (0.0, 0.0))
            if sample.name == _REQUESTS:
                done += sample.value
            else:
                bad += sample.value
            counts[name] = (done, bad)
    return counts


def _ask(
    session: requests.Session, method: str, url: str, body: object = None
) -> requests.Response:
    try:
        answer = session.request(method, url, json=body, timeout=_TIMEOUT)
    except requests.RequestException as error:  # its text may hold the URL, and that a password
        raise TrialError(f"ALERTMANAGER_URL: {type(error).__name__}") from None
    if not answer.ok:
        said = " ".join(answer.text[:200].split())
        raise TrialError(f"ALERTMANAGER_URL: status {answer.status_code}: {said}")
    return answer
