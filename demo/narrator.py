"""Tells a person what happens in the demo, each step in one line as it happens."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import requests
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel
from sqlalchemy import text

from demo import incidents, inventory
from demo.incidents import Incident, Kind
from demo.telling import TELLINGS, Language
from newapi.database import Database, DatabaseError
from newapi.dsn import parse_dsn

LOOK_EVERY = 0.5
"""Seconds between looks at all parts."""

QUIET = 10
"""Seconds without a request after which a channel counts as stopped."""

TOKENS_PER_MINUTE = 40_000_000
"""What the runaway key uses: it passes the threshold of demo/alerts.yml in half a minute."""


class Story(BaseModel):
    """What the narrator has to know."""

    urls: dict[str, str]
    folder: Path
    incident_after: float
    """Seconds from the moment when everything is up."""
    lang: Language = "en"


class Narrator:
    """Looks at every part as an outsider would: over HTTP, and at the gateway's tables."""

    def __init__(self, story: Story, say: Callable[[str], None]) -> None:
        self._story = story
        self._say = say
        self._database = Database(parse_dsn(os.environ["SQL_DSN"]))
        self._session = requests.Session()
        self._session.trust_env = False
        self._messages = 0
        self._texts = TELLINGS[story.lang]
        self._channel = ""

    def tell(self) -> Iterator[None]:
        """Tell the story; yields whenever it has to wait."""
        while not self._up():
            yield
        self._introduce()
        begin = time.monotonic() + self._story.incident_after
        while time.monotonic() < begin:
            yield from self._telegram()
        channel = self._incident()
        for step in (self._overspent, self._fires, self._held, self._disabled, self._silent):
            while not (line := step(channel)):
                yield from self._telegram()
            self._tell(line)
        self._say("")
        self._say(self._texts.end)
        while True:
            yield from self._telegram()

    def _up(self) -> bool:
        for name, url in self._story.urls.items():
            path = {"telegram": "/messages", "grafana": "/api/health"}.get(name, "/-/ready")
            if self._get(f"{url}{path}") is None:
                return False
        return True

    def _introduce(self) -> None:
        self._say("")
        self._say(self._texts.title)
        self._say("")
        for name, url in self._story.urls.items():
            self._say(f"  {name:<13} {url:<24} {self._texts.parts[name]}")
        self._say(f"  {self._texts.files:<13} {self._story.folder}")
        self._say("")
        with self._database.connect() as connection:
            world = inventory.read(connection)
        self._tell(
            self._texts.gateway.format(
                channels=len(world.channels),
                keys=len(world.keys),
                seconds=self._story.incident_after,
            )
        )

    def _incident(self) -> int:
        with self._database.connect() as connection:
            world = inventory.read(connection)
        found = incidents.target(
            world, Incident(Kind.RUNAWAY_KEY, tokens_per_minute=TOKENS_PER_MINUTE)
        )
        incidents.start(self._story.folder / "control", found)
        channel, key = world.channel[found.channel or 0], world.key[found.key or 0]
        self._channel = self._texts.channel.format(id=channel.id, name=channel.name)
        self._tell(
            self._line(
                self._texts.incident,
                key=key.id,
                key_name=key.name,
                millions=found.tokens_per_minute / 1e6,
            )
        )
        return channel.id

    def _line(self, text: str, **values: object) -> str:
        return text.format(channel=self._channel, **values)

    def _overspent(self, channel: int) -> str:
        samples = self._samples("exporter", "/metrics/alerts")
        limits = {
            labels["rule"]: (value, labels["period"])
            for labels, value in samples.get("newapi_alert_rule", [])
        }
        for labels, value in samples.get("newapi_rule_tokens", []):
            limit, period = limits.get(labels["rule"], (float("inf"), ""))
            if labels.get("channel_id") == str(channel) and value >= limit:
                return self._line(
                    self._texts.overspent,
                    used=value / 1e6,
                    period=period,
                    rule=labels["rule"],
                    allowed=limit / 1e6,
                )
        return ""

    def _fires(self, channel: int) -> str:
        answer = self._get(f"{self._story.urls['prometheus']}/api/v1/alerts")
        alerts = answer.json()["data"]["alerts"] if answer is not None else []
        for alert in alerts:
            labels = alert["labels"]
            if labels.get("purpose") == "trip" and labels.get("channel_id") == str(channel):
                return self._line(self._texts.fires, alert=labels["alertname"])
        return ""

    def _held(self, channel: int) -> str:
        held = self._samples("breaker", "/metrics").get("newapi_breaker_held", [])
        if any(labels == {"kind": "channel", "id": str(channel)} for labels, _ in held):
            return self._line(self._texts.held)
        return ""

    def _disabled(self, channel: int) -> str:
        (status, on, all_of_them) = self._row(
            "SELECT (SELECT status FROM channels WHERE id = :id), SUM(enabled), COUNT(*)"
            " FROM abilities WHERE channel_id = :id",
            channel,
        )
        if status != 2 or on:
            return ""
        return self._line(self._texts.disabled, on=on, abilities=all_of_them)

    def _silent(self, channel: int) -> str:
        (last, later) = self._row(
            "SELECT (SELECT MAX(created_at) FROM logs WHERE channel_id = :id), MAX(created_at)"
            " FROM logs",
            channel,
        )
        if later - last < QUIET:
            return ""
        moment = time.strftime("%H:%M:%S", time.localtime(last))
        return self._line(self._texts.silent, time=moment)

    def _telegram(self) -> Iterator[None]:
        answer = self._get(f"{self._story.urls['telegram']}/messages")
        messages = answer.json()["messages"] if answer is not None else []
        for message in messages[self._messages :]:
            first, *more = message["text"].splitlines()
            self._tell(f"Telegram: {first}")
            for line in more:
                self._say(f"          {line}")
        self._messages = len(messages)
        yield

    def _samples(self, part: str, path: str) -> dict[str, list[tuple[dict[str, str], float]]]:
        answer = self._get(f"{self._story.urls[part]}{path}")
        found: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families(answer.text if answer is not None else ""):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((sample.labels, sample.value))
        return found

    def _row(self, sql: str, channel: int) -> tuple[int, ...]:
        with self._database.connect() as connection:
            row = connection.execute(text(sql), {"id": channel}).one()
            return tuple(int(value or 0) for value in row)

    def _get(self, url: str) -> requests.Response | None:
        try:
            answer = self._session.get(url, timeout=5)
        except requests.RequestException:
            return None
        return answer if answer.ok else None

    def _tell(self, line: str) -> None:
        self._say(f"{time.strftime('%H:%M:%S')}  {line}")


def main() -> None:
    """Tell the story of the file that the first argument names."""
    story = Story.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    steps = Narrator(story, lambda line: print(line, flush=True)).tell()  # noqa: T201
    while True:
        try:
            next(steps)
        except DatabaseError as error:
            print(error, flush=True)  # noqa: T201
            raise SystemExit(1) from None
        time.sleep(LOOK_EVERY)


if __name__ == "__main__":
    main()
