"""The simulated gateway at work: it takes requests, routes them, and writes what becomes of them.

It reads its own database as a real one does, so that it obeys whoever disables a channel or an
API key there, just as late as a real one would.
"""

import heapq
import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from sqlalchemy import Connection, text

from demo import incidents, refusals, rhythm, routing
from demo.exchange import Caller, Exchange
from demo.incidents import BIG_PROMPT, Incident
from demo.ledger import BATCH_UPDATE_INTERVAL, Ledger
from demo.log import Entry
from demo.refusals import Refusals
from demo.routing import Candidate, Mode, Routes
from demo.traffic import Condition, Traffic
from demo.unasked import ASIDE_SHARE, TOPUP_SHARE, Unasked, format_of
from demo.world import ENABLED, World
from demo.writing import LogInsert
from newapi.database import Database, DatabaseError
from service.log import OncePerMinute

log = logging.getLogger(__name__)

TICK = 0.25
"""Seconds between looks at the clock, the control folder and the database."""

_LATE = 5.0
"""Seconds of requests that are made up for when a tick comes late; what is older never came."""


@dataclass(frozen=True)
class Habits:
    """How the gateway is run.

    Args:
        rate: requests a second, on the average of a weekday.
        mode: what it routes by.
        sync_frequency: seconds between reads in cache mode (SYNC_FREQUENCY).
        steady: the same rate at every hour.
        test_interval: seconds between tests of all channels; 0 = never.
        control: folder that incidents are read from.
    """

    rate: float = 20.0
    mode: Mode = Mode.CACHE
    sync_frequency: float = 60.0
    steady: bool = False
    test_interval: float = 600.0
    control: Path | None = None


class Gateway:
    """A gateway whose time is given to it, a step at a time.

    What it wrote is counted in `written` by type; `counted` has what was refused (disabled,
    expired or exhausted key), what found no channel, and what was lost since the database did
    not take it: of none of these does the log table tell.
    """

    def __init__(
        self, database: Database, world: World, habits: Habits, rng: random.Random, now: float
    ) -> None:
        self._database = database
        self._world = world
        self._habits = habits
        self._rng = rng
        self._traffic = Traffic(world)
        self._unasked = Unasked(world, self._traffic)
        self._format = format_of(world.flavour)
        self._insert = LogInsert(database.dialect, self._format.columns)
        self._ledger = Ledger()
        self._warn = OncePerMinute(log)
        self._candidates: list[Candidate] = []
        self._routes = Routes(())
        self._refusals = Refusals()
        self._enabled: frozenset[int] = frozenset()
        self._incidents: list[Incident] = []
        self._conditions: dict[int, Condition] = {}
        self._marks: dict[int, int] = {}
        self._running: list[tuple[float, int, Entry]] = []
        self._started = 0
        self._next_request = now
        self._next_runaway: dict[Incident, float] = {}
        self._next_sync = self._next_status = now
        self._next_flush = now + BATCH_UPDATE_INTERVAL
        self._next_test = now + min(habits.test_interval, 15.0)
        self.written: Counter[int] = Counter()
        self.counted: Counter[str] = Counter()

    def step(self, now: float) -> None:
        """Do what is due by a moment (unix seconds), which never goes down.

        A database that does not answer costs the rows that are due, as it costs a real gateway,
        and is said once a minute.
        """
        self._look(now)
        try:
            with self._database.connect() as connection:
                self._sync(connection, now)
                self._take(now)
                self._write(connection, now)
                if self._habits.test_interval and now >= self._next_test:
                    self._next_test = now + self._habits.test_interval
                    self._test(connection, now)
            if now >= self._next_flush:
                self._next_flush = now + BATCH_UPDATE_INTERVAL
                self.flush()
        except DatabaseError as error:
            while self._running and self._running[0][0] <= now:
                heapq.heappop(self._running)
                self.counted["lost"] += 1
            self._warn.warning(str(error), now)

    def flush(self) -> None:
        """Write the balances now.

        Raises:
            DatabaseError: they could not be written, and are kept.
        """
        with self._database.begin() as connection:
            self._ledger.write(connection)

    def _look(self, now: float) -> None:
        """Read which incidents go on."""
        if self._habits.control is None:
            return
        try:
            found = incidents.read(self._habits.control, now)
            self._incidents = [incidents.target(self._world, one) for one in found]
            self._conditions = incidents.conditions(self._incidents)
        except (OSError, ValueError) as error:
            self._warn.warning(str(error), now)

    def _sync(self, connection: Connection, now: float) -> None:
        """Read what requests are routed and refused by, as often as the mode has it."""
        if self._incidents:  # a pinned key's channel is looked up at each request
            statement = text("SELECT id FROM channels WHERE status = :enabled")
            found = connection.execute(statement, {"enabled": ENABLED})
            self._enabled = frozenset(found.scalars())
        if self._habits.mode is Mode.CACHE and now < self._next_sync:
            return
        self._next_sync = now + self._habits.sync_frequency
        candidates = routing.read(connection, self._habits.mode)
        if candidates != self._candidates:
            self._candidates, self._routes = candidates, Routes(candidates)
        self._refusals = refusals.read(connection, now)

    def _take(self, now: float) -> None:
        """Take the requests that have come since the last step."""
        self._next_request = max(self._next_request, now - _LATE)
        while self._next_request <= now:
            self._request(self._next_request)
            busy = 1.0 if self._habits.steady else rhythm.activity(now)
            self._next_request += self._rng.expovariate(self._habits.rate * busy)
        runaways = [one for one in self._incidents if one.kind is incidents.Kind.RUNAWAY_KEY]
        self._next_runaway = {one: self._next_runaway.get(one, now) for one in runaways}
        for incident in runaways:
            pause = 60 * BIG_PROMPT / incident.tokens_per_minute
            due = max(self._next_runaway[incident], now - _LATE)
            while due <= now:
                self._runaway(incident, due)
                due += pause
            self._next_runaway[incident] = due

    def _request(self, at: float) -> None:
        rng = self._rng
        if rng.random() < TOPUP_SHARE + ASIDE_SHARE:
            self._run([self._unasked.aside(rng, rng.choice(self._world.channels), at)])
            return
        caller = self._traffic.caller(rng)
        model = self._traffic.model(rng, caller.group)
        if model is None or self._refuses(caller):
            return
        conditions = incidents.conditions(self._incidents)
        self._begin(self._traffic.exchange(rng, caller, model, self._routes.pick, conditions), at)

    def _runaway(self, incident: Incident, at: float) -> None:
        key = self._world.key[incident.key or 0]
        channel = self._world.channel[incident.channel or 0]
        caller = Caller(self._world.user[key.user_id], key.id, key.name, self._world.group_of(key))
        if self._refuses(caller):
            return
        if channel.id not in self._enabled:
            self.counted["refused"] += 1
            return
        exchange = self._traffic.exchange(
            self._rng, caller, incidents.costliest(channel), lambda *_: channel.id,
            self._conditions, retries=0, prompt=BIG_PROMPT,
        )  # fmt: skip
        self._begin(exchange, at)

    def _refuses(self, caller: Caller) -> bool:
        if not self._refusals.has(caller.key_id, caller.user.id):
            return False
        if status := self._refusals.keys.get(caller.key_id, 0):
            self._marks[caller.key_id] = status
        self.counted["refused"] += 1
        return True

    def _begin(self, exchange: Exchange | None, at: float) -> None:
        if exchange is None:
            self.counted["no channel"] += 1
            return
        self._run(self._format.exchange(exchange, at))

    def _run(self, entries: list[Entry]) -> None:
        """Let rows be written when they are due: requests that run go on, whatever happens."""
        for entry in entries:
            self._started += 1
            heapq.heappush(self._running, (entry.at, self._started, entry))

    def _write(self, connection: Connection, now: float) -> None:
        """Write what has ended, each row in a transaction of its own."""
        while self._running and self._running[0][0] <= now:
            entry = self._running[0][2]
            self._insert(connection, [entry.row])
            heapq.heappop(self._running)
            self.written[entry.type] += 1
            if entry.charge is not None:
                self._ledger.add(entry.charge)
        while self._marks:
            refusals.mark(connection, *self._marks.popitem())

    def _test(self, connection: Connection, now: float) -> None:
        """Test every enabled channel, and note response times and balances."""
        statement = text("SELECT id FROM channels WHERE status = :enabled ORDER BY id")
        ids = list(connection.execute(statement, {"enabled": ENABLED}).scalars())
        for channel in (self._world.channel[one] for one in ids if one in self._world.channel):
            seconds, entries = self._unasked.test(self._rng, channel, now, self._conditions)
            self._run(entries)
            connection.execute(
                text(
                    "UPDATE channels SET test_time = :at, response_time = :milliseconds"
                    " WHERE id = :id"
                ),
                {"at": int(now), "milliseconds": int(seconds * 1000), "id": channel.id},
            )
        self._ledger.write_balances(connection, now)


def run(gateway: Gateway, stop: Event, clock: Callable[[], float]) -> None:
    """Keep a gateway going until it is told to stop; then write its balances.

    Args:
        gateway: what to keep going.
        stop: set by whoever wants it to end; it ends at once.
        clock: gives unix seconds.
    """
    while not stop.is_set():
        gateway.step(clock())
        stop.wait(TICK)
    try:
        gateway.flush()
    except DatabaseError as error:
        log.warning("%s", error)
    log.info(
        "ended: %d rows written, %s", gateway.written.total(),
        ", ".join(f"{n} {what}" for what, n in sorted(gateway.counted.items())) or "none lost",
    )  # fmt: skip
