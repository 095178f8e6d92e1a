"""Any sequence of alerts, people, races of the gateway and time: two things never happen."""

import itertools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from sqlalchemy import text

from breaker.serve import Breaker
from breaker.settings import BreakerSettings
from newapi.schema import Flavour
from tests.breaker import TOKEN, Bench, Clock
from tests.gateway import put
from tests.test_breaker_webhook import TRIP_LABELS, raw_alert
from tests.test_switch import make_gateway

NOW = 1_800_000_000
SERVED = {1: ("a", "b"), 2: ("a",), 3: ("b", "c"), 4: ("c",), 5: ("d",)}
"""The models of each channel: for d there is one alone."""

channels = st.sampled_from(sorted(SERVED))
rules = st.sampled_from(["token_usage", "error_rate", "latency"])


class Gateway(RuleBasedStateMachine):
    """A gateway with a breaker, and people who are free to do anything but to act twice within the
    few seconds between two looks of the breaker."""

    flavour = Flavour.NEW_API

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="newapi-property-"))
        dsn = f"sqlite:///{self.folder / 'one-api.db'}"
        self.database = make_gateway(dsn, self.flavour)
        for number, models in SERVED.items():
            row = {"id": number, "key": "k", "name": f"c{number}", "status": 1, "priority": 0}
            put(self.database, "channels", row | {"group": "g", "models": ",".join(models)})
            rows = [{"group": "g", "model": m, "channel_id": number, "enabled": 1} for m in models]
            put(self.database, "abilities", *rows)
        made = BreakerSettings(
            breaker_token=TOKEN,
            breaker_state=self.folder / "state",
            breaker_sql_dsn=dsn,
            breaker_max_trips_per_hour=10_000,
        )
        self.clock = Clock(NOW)
        ids = (f"{number:08x}" for number in itertools.count(1))
        self.bench = Bench(Breaker(made, clock=self.clock, new_id=lambda: next(ids)), self.clock)
        self.ours: set[int] = set()
        """What the breaker disabled and holds, and nobody enabled or disabled by hand since."""
        self.forms: dict[int, tuple[int, str]] = {}
        self.edits = itertools.count(1)

    def teardown(self) -> None:
        self.bench.breaker.close()
        self.database.close()
        shutil.rmtree(self.folder)

    # What the breaker does, and what must be true of it.

    @rule(channel=channels, kind=rules, release_after=st.sampled_from([None, 60, 600]))
    def alert(self, channel: int, kind: str, release_after: int | None) -> None:
        before = self.served()
        self.bench_step(lambda: self.bench.post(self.raw(channel, kind, release_after)))
        if kind != "token_usage":
            assert before <= self.served()

    @rule(channel=channels, kind=rules)
    def alert_ends(self, channel: int, kind: str) -> None:
        raw = self.raw(channel, kind, None) | {"status": "resolved"}
        self.bench_step(lambda: self.bench.post(raw))

    @rule()
    def look(self) -> None:
        before, health = self.served(), self.health_alone()
        self.bench_step(self.bench.breaker.hold)
        if health:
            assert before <= self.served()
        if self.mode() == "enforce":
            for trip in self.bench.breaker.record.incidents.holding():
                assert self.state(trip.target.number)[0] != 1
                assert not self.enabled(trip.target.number)

    @rule(seconds=st.sampled_from([3, 60, 700, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.clock.now += seconds
        self.look()

    @rule(mode=st.sampled_from(["enforce", "enforce", "dry-run", "off"]))
    def kill_switch(self, mode: str) -> None:
        (self.folder / "state" / "mode").write_text(mode)

    # What people do.

    @rule(channel=channels, new=st.booleans())
    def person_enables(self, channel: int, new: bool) -> None:
        self.look()
        if self.state(channel)[0] != 1:
            self.write(channel, 1, "manual operation" if new else None)
            self.ours.discard(channel)
            self.look()

    @rule(channel=channels, new=st.booleans())
    def person_disables(self, channel: int, new: bool) -> None:
        if self.state(channel)[0] != 2:
            self.write(channel, 2, "manual operation" if new else None)
            self.ours.discard(channel)

    @rule(channel=channels)
    def form_is_opened(self, channel: int) -> None:
        self.forms[channel] = self.state(channel)

    @precondition(lambda self: self.forms)
    @rule(data=st.data())
    def form_is_saved(self, data: st.DataObject) -> None:
        channel = data.draw(st.sampled_from(sorted(self.forms)))
        status, info = self.forms.pop(channel)
        values: dict[str, Any] = {"status": status, "priority": next(self.edits)}
        if info and self.flavour is Flavour.NEW_API:
            values["other_info"] = info
        self.update(channel, values)
        if status != 1 and channel not in self.held():
            self.ours.discard(channel)

    # What the gateway does by itself.

    @rule(channel=channels)
    def gateway_disables(self, channel: int) -> None:
        """Also over our 2: a request that failed late had seen 1."""
        self.write(channel, 3, "status_code=401")

    @rule(channel=channels)
    def gateway_test_enables(self, channel: int) -> None:
        """Also over our 2: a test that had seen 3."""
        self.write(channel, 1, "")

    @rule(channel=channels)
    def abilities_are_rebuilt(self, channel: int) -> None:
        self.update(channel, {})

    @rule(channel=channels)
    def edit_that_had_read_1(self, channel: int) -> None:
        if channel in self.ours:
            self.able(channel, enabled=True)

    # How.

    def bench_step(self, step: Any) -> None:
        """Let the breaker do something, and check what it changed."""
        before = {number: (self.state(number), self.enabled(number)) for number in SERVED}
        step()
        for number, ((status, info), enabled) in before.items():
            after = self.state(number)[0]
            if self.mode() != "enforce":
                assert ((status, info), enabled) == (self.state(number), self.enabled(number))
            if status == 1 and after == 2:
                self.ours.add(number)
            if (status != 1 and after == 1) or (not enabled and self.enabled(number)):
                assert number in self.ours, "what the breaker did not disable was enabled"
                self.ours.discard(number)
        self.ours &= self.held()

    def held(self) -> set[int]:
        return {target.number for target in self.bench.breaker.record.held()}

    def raw(self, channel: int, kind: str, release_after: int | None) -> dict[str, Any]:
        labels = {"rule": kind, "type": kind, "channel_id": f"{channel}", "target": f"{channel}"}
        if release_after is not None:
            labels["release_after"] = f"{release_after}"
        made = raw_alert(TRIP_LABELS | labels)
        made["annotations"]["evaluated_at"] = f"{self.clock.now}"
        return made

    def mode(self) -> str:
        return str(self.bench.breaker.mode())

    def health_alone(self) -> bool:
        """Whether everything that is held is held by a rule about health."""
        held = self.bench.breaker.record.incidents.holding()
        return all(trip.rule != "token_usage" for trip in held)

    def served(self) -> set[str]:
        """The models that an enabled channel serves."""
        return {
            model
            for number, models in SERVED.items()
            for model in models
            if self.state(number)[0] == 1 and self.enabled(number)
        }

    def state(self, channel: int) -> tuple[int, str]:
        column = "other_info" if self.flavour is Flavour.NEW_API else "''"
        with self.database.connect() as connection:
            statement = text(f"SELECT status, {column} FROM channels WHERE id = :id")
            row = connection.execute(statement, {"id": channel}).one()
        return row[0], row[1] or ""

    def enabled(self, channel: int) -> bool:
        with self.database.connect() as connection:
            statement = text("SELECT max(enabled) FROM abilities WHERE channel_id = :id")
            return bool(connection.execute(statement, {"id": channel}).scalar())

    def write(self, channel: int, status: int, reason: str | None) -> None:
        """Set a status as the gateway does: with a reason, or the status alone."""
        values: dict[str, Any] = {"status": status}
        if reason is not None and self.flavour is Flavour.NEW_API:
            info = {"status_reason": reason, "status_time": int(self.clock.now) + 1}
            values["other_info"] = json.dumps(info)
        self.update(channel, values)

    def update(self, channel: int, values: dict[str, Any]) -> None:
        names = ", ".join(f"{name} = :{name}" for name in values)
        if names:
            with self.database.begin() as connection:
                statement = text(f"UPDATE channels SET {names} WHERE id = :id")
                connection.execute(statement, {"id": channel, **values})
        self.able(channel, enabled=self.state(channel)[0] == 1)

    def able(self, channel: int, *, enabled: bool) -> None:
        with self.database.begin() as connection:
            statement = text("UPDATE abilities SET enabled = :on WHERE channel_id = :id")
            connection.execute(statement, {"id": channel, "on": int(enabled)})


class OneApi(Gateway):
    """The same on a gateway that keeps no reason."""

    flavour = Flavour.ONE_API


def explore(machine: type[Gateway], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("machine", [Gateway, OneApi])
def test_two_things_never_happen(machine: type[Gateway]) -> None:
    explore(machine, 10, 30)


@pytest.mark.torture
@pytest.mark.parametrize("machine", [Gateway, OneApi])
def test_two_things_never_happen_for_long(machine: type[Gateway]) -> None:
    explore(machine, 1000, 60)
