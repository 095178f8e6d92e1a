"""Any sequence of alerts, people, races of the gateway and time: two things never happen.

A health rule never leaves a (group, model) without an enabled channel that had one, and nothing is
ever enabled that the breaker did not disable.
"""

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

from breaker.decision import Target
from breaker.serve import Breaker
from breaker.settings import BreakerSettings
from breaker.store import RecordError
from newapi.schema import Flavour
from newapi.switch import Kind
from tests.breaker import TOKEN, Bench, Clock
from tests.gateway import put
from tests.gateway_channels import make_gateway
from tests.webhooks import TRIP_LABELS, raw_alert

NOW = 1_800_000_000
KEYS = (1, 2)
SERVED = {1: ("a", "b"), 2: ("a",), 3: ("b", "c"), 4: ("c",), 5: ("d",)}
"""The models of each channel: for d there is one alone."""

channels = st.sampled_from(sorted(SERVED))
keys = st.sampled_from(KEYS)
timers = st.sampled_from([None, 60, 600])
rules = st.sampled_from(["token_usage", "error_rate", "latency"])


TARGETS = (*(Target(Kind.CHANNEL, n) for n in SERVED), *(Target(Kind.API_KEY, n) for n in KEYS))


def failing(*_: object, **__: object) -> bool:
    """What a breaker that is killed does next."""
    raise RecordError("killed")


class Gateway(RuleBasedStateMachine):
    """A gateway with a breaker, and people who are free to do anything but to act twice within the
    few seconds between two looks of the breaker."""

    flavour = Flavour.NEW_API

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="newapi-property-"))
        dsn = f"sqlite:///{self.folder / 'one-api.db'}"
        self.database = make_gateway(dsn, self.flavour)
        self.clock = Clock(NOW)
        for number in SERVED:
            self.add_channel(number, 1)
        for number in KEYS:
            self.add_key(number, 1)
        self.settings = BreakerSettings(
            breaker_token=TOKEN,
            breaker_state=self.folder / "state",
            breaker_sql_dsn=dsn,
            breaker_max_trips_per_hour=10_000,
        )
        self.ids = (f"{number:08x}" for number in itertools.count(1))
        self.bench = self.started()
        self.ours: set[Target] = set()
        """What the breaker disabled and holds, and nobody enabled or disabled by hand since."""
        self.forms: dict[int, tuple[int, str]] = {}
        self.edits = itertools.count(1)

    def started(self) -> Bench:
        made = Breaker(self.settings, clock=self.clock, new_id=lambda: next(self.ids))
        return Bench(made, self.clock)

    def teardown(self) -> None:
        self.bench.breaker.close()
        self.database.close()
        shutil.rmtree(self.folder)

    # What the breaker does, and what must be true of it.

    @rule(channel=channels, kind=rules, release_after=timers)
    def alert(self, channel: int, kind: str, release_after: int | None) -> None:
        before = self.served()
        self.bench_step(lambda: self.bench.post(self.raw(channel, kind, release_after)))
        if kind != "token_usage":
            assert before <= self.served()

    @rule(channel=channels, kind=rules)
    def alert_ends(self, channel: int, kind: str) -> None:
        raw = self.raw(channel, kind, None) | {"status": "resolved"}
        self.bench_step(lambda: self.bench.post(raw))

    @rule(key=keys, kind=rules, release_after=timers)
    def key_alert(self, key: int, kind: str, release_after: int | None) -> None:
        self.bench_step(lambda: self.bench.post(self.raw_key(key, kind, release_after)))

    @rule(key=keys, kind=rules)
    def key_alert_ends(self, key: int, kind: str) -> None:
        raw = self.raw_key(key, kind, None) | {"status": "resolved"}
        self.bench_step(lambda: self.bench.post(raw))

    @rule(killed_before_its_record=st.booleans(), channel=channels, release_after=timers)
    def restart(
        self, channel: int, release_after: int | None, *, killed_before_its_record: bool
    ) -> None:
        """It is killed, perhaps just after a write, and looks again when it is back."""
        if killed_before_its_record:
            record = self.bench.breaker.record
            real, record.add = record.add, failing  # type: ignore[method-assign]
            raw = self.raw(channel, "token_usage", release_after)
            self.bench_step(lambda: self.bench.post(raw))
            record.add = real  # type: ignore[method-assign]
        self.bench.breaker.close()
        self.bench = self.started()
        self.look()

    @rule()
    def look(self) -> None:
        before, health = self.served(), self.health_alone()
        for _ in range(2):  # what is half on is told from a person's doing at the second look
            self.bench_step(self.bench.breaker.hold)
        if health:
            assert before <= self.served()
        if self.mode() == "enforce":
            for trip in self.bench.breaker.record.incidents.holding():
                assert self.status(trip.target) != 1
                assert not self.on(trip.target)

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
            self.ours.discard(Target(Kind.CHANNEL, channel))
            self.look()

    @rule(channel=channels, new=st.booleans())
    def person_disables(self, channel: int, new: bool) -> None:
        if self.state(channel)[0] != 2:
            self.write(channel, 2, "manual operation" if new else None)
            self.ours.discard(Target(Kind.CHANNEL, channel))

    @rule(channel=channels, status=st.sampled_from([1, 2]))
    def channel_is_replaced(self, channel: int, status: int) -> None:
        """It is deleted, and the next one is given its id, as SQLite does."""
        self.clock.now += 1
        with self.database.begin() as connection:
            for table, column in (("channels", "id"), ("abilities", "channel_id")):
                statement = text(f"DELETE FROM {table} WHERE {column} = :id")
                connection.execute(statement, {"id": channel})
        self.forms.pop(channel, None)
        self.ours.discard(Target(Kind.CHANNEL, channel))
        self.add_channel(channel, status)

    @rule(key=keys, status=st.sampled_from([1, 2, 3, 4]))
    def key_is_switched(self, key: int, status: int) -> None:
        """By a person, or by the gateway when it expires or is used up."""
        self.look()
        target = Target(Kind.API_KEY, key)
        if self.status(target) != status:
            self.run("UPDATE tokens SET status = :status WHERE id = :id", id=key, status=status)
            self.ours.discard(target)
            self.look()

    @rule(key=keys)
    def key_form_is_saved(self, key: int) -> None:
        """A form that was opened while the key was enabled, saved with a change."""
        values = {"id": key, "name": f"k{next(self.edits)}"}
        self.run("UPDATE tokens SET status = 1, name = :name WHERE id = :id", **values)

    @rule(key=keys, status=st.sampled_from([1, 2]))
    def key_is_replaced(self, key: int, status: int) -> None:
        self.clock.now += 1
        self.run("DELETE FROM tokens WHERE id = :id", id=key)
        self.ours.discard(Target(Kind.API_KEY, key))
        self.add_key(key, status)

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
        if status != 1 and Target(Kind.CHANNEL, channel) not in self.held():
            self.ours.discard(Target(Kind.CHANNEL, channel))

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
        if Target(Kind.CHANNEL, channel) in self.ours:
            self.able(channel, enabled=True)

    # How.

    def bench_step(self, step: Any) -> None:
        """Let the breaker do something, and check what it changed."""
        before = {target: (self.status(target), self.on(target)) for target in TARGETS}
        step()
        for target, (status, on) in before.items():
            after = self.status(target)
            if self.mode() != "enforce":
                assert (status, on) == (after, self.on(target))
            if status == 1 and after == 2:
                self.ours.add(target)
            if (status != 1 and after == 1) or (not on and self.on(target)):
                assert target in self.ours, "what the breaker did not disable was enabled"
                self.ours.discard(target)
        self.ours &= self.held()

    def held(self) -> set[Target]:
        """What is held, or may be: the write was done, and its record is not."""
        begun = {trip.target for trip in self.bench.breaker.record.incidents.writing()}
        return begun | set(self.bench.breaker.record.held())

    def raw_key(self, key: int, kind: str, release_after: int | None) -> dict[str, Any]:
        raw = self.raw(key, kind, release_after)
        raw["labels"] |= {"action": "disable_api_key", "api_key_id": f"{key}"}
        del raw["labels"]["channel_id"]
        return raw

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

    def status(self, target: Target) -> int:
        table = "channels" if target.kind is Kind.CHANNEL else "tokens"
        with self.database.connect() as connection:
            statement = text(f"SELECT status FROM {table} WHERE id = :id")
            return int(connection.execute(statement, {"id": target.number}).scalar_one())

    def on(self, target: Target) -> bool:
        """Whether any mode of routing may choose it."""
        if target.kind is Kind.CHANNEL:
            return self.enabled(target.number)
        return self.status(target) == 1

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

    def add_channel(self, number: int, status: int) -> None:
        models = SERVED[number]
        row = {"id": number, "key": "k", "name": f"c{number}", "status": status, "priority": 0}
        row |= {"group": "g", "models": ",".join(models), "created_time": int(self.clock.now)}
        put(self.database, "channels", row)
        able = {"group": "g", "channel_id": number, "enabled": int(status == 1)}
        put(self.database, "abilities", *(able | {"model": model} for model in models))

    def add_key(self, number: int, status: int) -> None:
        row = {"id": number, "user_id": 1, "key": f"k{number}", "name": "k", "status": status}
        put(self.database, "tokens", row | {"created_time": int(self.clock.now)})

    def run(self, statement: str, **values: object) -> None:
        with self.database.begin() as connection:
            connection.execute(text(statement), values)

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
