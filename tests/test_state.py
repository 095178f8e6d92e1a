"""What survives a restart: the state's file, by itself."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.changes import VERSION, Changes
from exporter.departed import Entity
from exporter.failed import Failure
from exporter.ledger import Ledger
from exporter.position import Gap, Position, Step
from exporter.state import State, StateError
from exporter.totals import Sums
from tests.follower import NOON

EVERYTHING = Changes(
    Step(
        Position(90, NOON, ((88, NOON - 1), (90, NOON))),
        added=(Gap(80, 84, NOON - 0.25), Gap(89, 89, NOON)),
    ),
    sums={
        "newapi_quota_total": {(7, "gpt-4o"): 5, (8, "模型 \"'\\\n"): 2**63},
        "newapi_api_key_quota_total": {(11,): 2**200},
        "newapi_rows_adjusted_total": {("negative",): 0},
    },
    held=[("newapi_quota_total", (8, "o3"))],
    cells={('gateway|300|tokens|["gateway"]', NOON, "gateway", "tokens"): 2**70},
    days={date(2027, 1, 15): {"newapi_today_tokens": {(7, "gpt-4o"): 2**65}}},
    failures=[Failure("req-1", "gpt-4o", NOON)],
    entities={
        ("channel", 7): Entity({"name": "甲"}, NOON, None),
        ("user", 3): Entity(None, NOON, NOON + 0.5),
    },
    notes={"counting_since": repr(NOON + 0.125)},
)


@pytest.fixture
def open_state(tmp_path: Path) -> Iterator[Callable[[], State]]:
    """Open the state anew, as a process that starts."""
    opened: list[State] = []

    def begin() -> State:
        if opened:
            opened.pop().close()
        opened.append(State(tmp_path / "state"))
        return opened[-1]

    yield begin
    for state in opened:
        state.close()


def test_an_empty_state_knows_nothing(open_state: Callable[[], State]) -> None:
    state = open_state()
    assert state.position() is None
    assert state.noted("counting_since") is None
    assert state.sums().sums == {}
    assert (state.gaps(), state.held(), state.days(), state.failures()) == ([], [], {}, [])
    assert (state.cells(), state.entities()) == ({}, {})


def test_everything_that_was_saved_comes_back(open_state: Callable[[], State]) -> None:
    open_state().save(EVERYTHING)
    state = open_state()
    assert state.position() == EVERYTHING.step.position
    assert state.gaps() == list(EVERYTHING.step.added)
    assert state.sums().sums == EVERYTHING.sums
    assert state.held() == EVERYTHING.held
    assert state.cells() == EVERYTHING.cells
    assert {day: totals.sums for day, totals in state.days().items()} == EVERYTHING.days
    assert state.failures() == EVERYTHING.failures
    assert state.entities() == EVERYTHING.entities
    assert float(state.noted("counting_since") or 0) == NOON + 0.125


def test_a_step_changes_what_it_names_and_nothing_else(open_state: Callable[[], State]) -> None:
    open_state().save(EVERYTHING)
    open_state().save(
        Changes(
            Step(Position(91, NOON), added=(Gap(80, 82, NOON),), removed=EVERYTHING.step.added),
            sums={"newapi_quota_total": {(7, "gpt-4o"): 6}},
            released=[("newapi_quota_total", (8, "o3"))],
            dropped=[("newapi_api_key_quota_total", (11,))],
            settled=[Failure("req-1", "gpt-4o", NOON)],
            entities={("channel", 7): None},
        )
    )
    state = open_state()
    assert state.position() == Position(91, NOON)
    assert state.gaps() == [Gap(80, 82, NOON)]
    assert state.sums().sums == {
        "newapi_quota_total": {(7, "gpt-4o"): 6, (8, "模型 \"'\\\n"): 2**63},
        "newapi_rows_adjusted_total": {("negative",): 0},
    }
    assert (state.held(), state.failures()) == ([], [])
    assert list(state.entities()) == [("user", 3)]
    assert state.cells() == EVERYTHING.cells
    assert float(state.noted("counting_since") or 0) == NOON + 0.125


LABELS = st.tuples(st.integers(-(2**63), 2**63 - 1), st.text(max_size=20))


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(LABELS, st.integers(0, 2**128), max_size=8))
def test_any_sum_of_any_labels_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, sums: dict[tuple[int | str, ...], int]
) -> None:
    folder = tmp_path_factory.mktemp("state")
    with closing(State(folder)) as state:
        state.save(Changes(Step(Position(1, NOON)), sums={"newapi_quota_total": sums}))
    with closing(State(folder)) as state:
        assert state.sums().sums.get("newapi_quota_total", {}) == sums


def test_windows_and_days_that_are_over_go(open_state: Callable[[], State]) -> None:
    old, new = (("a", 100, "gateway", "tokens"), 1), (("a", 200, "gateway", "tokens"), 2)
    other = (("b", 100, "7", "requests"), 3)
    sums: Sums = {"newapi_today_tokens": {(7, "o3"): 1}}
    days = {date(2027, 1, number): sums for number in (14, 15)}
    state = open_state()
    state.save(Changes(Step(Position(1, NOON)), cells=dict([old, new, other]), days=days))
    state.expire({"a": 200}, date(2027, 1, 15))
    assert open_state().cells() == dict([new, other])
    assert list(open_state().days()) == [date(2027, 1, 15)]
    open_state().forget_windows(["b"], {"filled": "[]"})
    assert open_state().cells() == dict([other])
    open_state().forget_windows([], {})
    assert open_state().cells() == {}
    open_state().clear_days()
    assert open_state().days() == {}


def test_a_save_writes_what_changed_and_not_everything(
    open_state: Callable[[], State], tmp_path: Path
) -> None:
    many: dict[tuple[int | str, ...], int] = {(n, "gpt-4o"): n for n in range(20_000)}
    state = open_state()
    state.save(Changes(Step(Position(1, NOON)), sums={"newapi_quota_total": many}))
    state = open_state()  # which folds the log of writes into the file
    state.save(Changes(Step(Position(2, NOON)), sums={"newapi_quota_total": {(7, "gpt-4o"): 8}}))
    assert (tmp_path / "state" / "state.db").stat().st_size > 500_000
    assert (tmp_path / "state" / "state.db-wal").stat().st_size < 50_000


HOLD = """
import sys
from pathlib import Path
from exporter.state import State, StateError
try:
    state = State(Path(sys.argv[1]))
except StateError as error:
    sys.exit(str(error))
print("held", flush=True)
sys.stdin.read()
"""


def test_one_process_at_a_time_until_it_ends_in_whatever_way(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    command = [sys.executable, "-c", HOLD, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(StateError, match="another exporter is using this state"):
            State(folder)
        second = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert second.stderr == f"{folder}: another exporter is using this state\n"
        first.send_signal(signal.SIGKILL)
        first.wait(10)
        State(folder).close()


def test_a_state_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        db.execute("INSERT INTO meta VALUES ('version', ?)", (str(VERSION + 1),))
    for _ in range(2):  # the second time would say that another exporter holds it
        with pytest.raises(StateError, match=f"newer version .{VERSION + 1}, this one knows"):
            State(tmp_path)
    with closing(sqlite3.connect(file)) as db:
        tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert tables == [("meta",)]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("state.db", b"no database " * 100, "not a database"),
        ("lock/file", b"", "directory"),
        ("state.db/file", b"", "unable to open"),
    ],
)
def test_a_state_that_cannot_be_opened_is_said_in_one_line(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    for _ in range(2):
        with pytest.raises(StateError, match=words) as caught:
            State(tmp_path)
        assert str(caught.value).startswith(str(tmp_path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE totals SET labels = '[7' WHERE metric = 'newapi_api_key_quota_total'",
        "UPDATE totals SET value = 'much'",
        "UPDATE meta SET value = '{' WHERE key = 'position'",
        "UPDATE meta SET value = '{}' WHERE key = 'position'",
        "UPDATE meta SET value = 'long ago' WHERE key = 'counting_since'",
        "UPDATE days SET day = 'today'",
        "UPDATE entities SET info = 'x'",
        "ALTER TABLE totals RENAME COLUMN value TO amount",
        "ALTER TABLE cells RENAME COLUMN amount TO tokens",
    ],
)
def test_a_state_that_is_damaged_is_said_and_not_counted_on(
    open_state: Callable[[], State], tmp_path: Path, damage: str
) -> None:
    open_state().save(EVERYTHING)
    open_state()
    with closing(sqlite3.connect(tmp_path / "state" / "state.db")) as db, db:
        db.execute(damage)
    with pytest.raises(StateError) as caught:
        Ledger(open_state(), ZoneInfo("UTC"), 0, 1000, lambda: NOON)
    assert str(caught.value).startswith(f"{tmp_path}/state/state.db: ")
