"""What the record keeps, counts, forgets, and how it fails."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from breaker.decision import SETTLED, Decision, Reason, Release, Result, Target, TripState
from breaker.incidents import Change
from breaker.notice import compose
from breaker.record import Record
from breaker.store import _STEPS, FILE, RecordError, Store
from newapi.switch import Kind
from tests.webhooks import TELL_LABELS, TRIP_LABELS, make_alert

RECORDED = Decision(Result.RECORDED)
TRIPPED = Decision(Result.TRIPPED, trip_id="t1")
CHANNEL = Target(Kind.CHANNEL, 7)
HELD = Change("t1", TripState.HELD)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "deep" / "state", writable=True)
    yield store
    store.close()


@pytest.fixture
def record(store: Store) -> Record:
    return Record(store)


def test_repeats_of_one_alert_are_one_row(record: Record) -> None:
    alert = make_alert(TELL_LABELS)
    assert [record.add(alert, RECORDED, now) for now in range(10, 110)] == [True] + [False] * 99
    (row,) = record.notifications(10)
    assert (row.deliveries, row.first_seen, row.last_seen, row.ended_at) == (100, 10, 109, None)
    assert (row.alertname, row.rule, row.type, row.scope, row.target) == (
        "NewAPITokenUsage", "watch", "token_usage", "user", "3",
    )  # fmt: skip
    assert (row.value, row.threshold, row.evaluated_at) == (120_000, 100_000, 1_800_000_000)
    assert (row.name, row.severity, row.action, row.result) == (
        "OpenAI main", "warning", "notify", "recorded",
    )  # fmt: skip
    assert record.totals() == {("recorded", ""): 100}


def test_what_fires_again_after_its_end_is_a_new_row(record: Record) -> None:
    alert = make_alert(TELL_LABELS)
    record.add(alert, RECORDED, 1)
    for now in (2, 3):
        record.end(make_alert(TELL_LABELS, status="resolved"), now)
    record.add(alert, RECORDED, 4)
    again, first = record.notifications(10)
    assert (first.ended_at, first.deliveries) == (2, 3)
    assert (again.ended_at, again.first_seen) == (None, 4)


def test_an_end_of_what_was_never_seen_is_recorded(record: Record) -> None:
    record.end(make_alert(TELL_LABELS, status="resolved"), 5)
    (row,) = record.notifications(10)
    assert (row.first_seen, row.ended_at, row.result) == (5, 5, "recorded")


def test_a_new_result_is_a_new_row_and_failures_are_one(record: Record) -> None:
    alert = make_alert()
    for reason in ("unreachable", "timeout", "unreachable"):
        record.add(alert, Decision(Result.FAILED, reason), 1)
    record.add(alert, Decision(Result.REFUSED, Reason.ALREADY_DISABLED), 2)
    record.add(alert, Decision(Result.REFUSED, Reason.NOT_FOUND), 3)
    record.add(alert, Decision(Result.REPEATED), 4)
    rows = [(row.result, row.reason, row.deliveries) for row in record.notifications(10)]
    assert rows == [
        ("refused", "not_found", 2),
        ("refused", "already_disabled", 1),
        ("failed", "unreachable", 3),
    ]
    assert record.totals() == {
        ("failed", "timeout"): 1,
        ("failed", "unreachable"): 2,
        ("refused", "already_disabled"): 1,
        ("refused", "not_found"): 1,
        ("repeated", ""): 1,
    }


def test_trips_move_and_their_alerts_end(record: Record) -> None:
    alert = make_alert()
    trips = record.incidents
    assert trips.last("budget", CHANNEL) is None
    assert trips.open("t1", alert, CHANNEL, 1, 0).state is TripState.PENDING
    trips.move(Change("t1", TripState.WRITING), 2)
    assert record.held() == []
    record.add(alert, TRIPPED, 3, change=HELD)
    assert record.held() == [CHANNEL]
    trip = trips.last("budget", CHANNEL)
    assert trip is not None
    assert (trip.id, trip.state, trip.over(3)) == ("t1", TripState.HELD, False)
    record.end(make_alert(status="resolved"), 4)
    trip = trips.last("budget", CHANNEL)
    assert trip is not None
    assert (trip.state, trip.over(4), trip.over(4 + SETTLED)) == (TripState.HELD, False, True)
    assert trips.last("budget", Target(Kind.CHANNEL, 8)) is None
    assert trips.last("other", CHANNEL) is None
    events = [(event.at, event.event) for event in trips.events(["t1"])]
    assert events == [(1, "pending"), (2, "writing"), (3, "held")]


def test_a_told_alert_ends_no_trip(record: Record) -> None:
    record.incidents.open("t1", make_alert(), CHANNEL, 1, 0)
    told = {name: value for name, value in TRIP_LABELS.items() if name != "purpose"}
    record.end(make_alert(told, status="resolved"), 2)
    trip = record.incidents.last("budget", CHANNEL)
    assert trip is not None
    assert trip.ended_at is None


def test_what_is_old_is_forgotten_but_not_what_is_held(record: Record, store: Store) -> None:
    for number in range(1, 6):
        labels = TRIP_LABELS | {"target": str(number), "channel_id": str(number)}
        alert = make_alert(labels)
        decision = Decision(Result.TRIPPED, trip_id=f"t{number}")
        record.incidents.open(f"t{number}", alert, Target(Kind.CHANNEL, number), number, 0)
        state = TripState.HELD if number == 1 else TripState.NOTHING
        notice = compose(alert, decision, "", "en")
        record.add(alert, decision, number, change=Change(f"t{number}", state), notice=notice)
    record.forget(4, 4)
    assert [row.target for row in record.notifications(10)] == ["5", "4"]
    assert record.held() == [Target(Kind.CHANNEL, 1)]
    assert record.incidents.last("budget", Target(Kind.CHANNEL, 2)) is None
    assert len(store.read("SELECT id FROM notices")) == 2
    assert record.totals() == {("tripped", ""): 5}
    # An id stands for one notification only, also after the newest was forgotten.
    record.forget(100, 100)
    record.add(make_alert(), RECORDED, 200)
    assert [row.id for row in record.notifications(10)] == [6]


def test_the_notice_of_what_was_only_refused_is_sent_once_an_hour(
    record: Record, store: Store
) -> None:
    decision = Decision(Result.REFUSED, Reason.ALREADY_DISABLED, trip_id="t")
    for now in range(0, 7200, 60):
        notice = compose(make_alert(), decision, "", "en")
        record.add(make_alert(), decision, now, notice=notice)
        record.end(make_alert(status="resolved"), now + 1)
    assert len(record.notifications(1000)) == 120
    assert len(store.read("SELECT id FROM notices")) == 2


def test_a_persons_release_is_kept_while_it_counts(record: Record, store: Store) -> None:
    for number, labels in enumerate(({}, {"override_for": "5000"}, {}, {}), 1):
        alert = make_alert(TRIP_LABELS | labels | {"channel_id": f"{number}"})
        target = Target(Kind.CHANNEL, number)
        record.incidents.open(f"t{number}", alert, target, 10, 0)
        by = Release.TIMER if number == 4 else Release.PERSON
        change = Change(f"t{number}", TripState.RELEASED, columns={"released_by": by})
        record.incidents.move(change, 10)
    overridden = Decision(Result.REFUSED, Reason.OVERRIDDEN, trip_id="t1")
    record.add(make_alert(TRIP_LABELS | {"channel_id": "1"}), overridden, 1000)
    record.forget(1000, 5009)  # the alert of the first goes on
    assert [row["id"] for row in store.read("SELECT id FROM trips")] == ["t1", "t2"]
    record.forget(1001, 5010)
    assert store.read("SELECT id FROM trips") == []


def test_a_record_of_the_version_before_goes_on(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / FILE)
    for step in _STEPS[:2]:
        old.executescript(step)
    old.execute("PRAGMA user_version = 2")
    cause = make_alert(TRIP_LABELS | {"override_for": "600"}).model_dump_json(by_alias=True)
    for number, (state, text) in enumerate((("held", cause), ("released", ""), ("nothing", cause))):
        old.execute(
            "INSERT INTO trips (id, rule, target, kind, kind_id, state, created_at, changed_at,"
            " heard_at, held_at, cause)"
            " VALUES (?, 'budget', '7', 'channel', 7, ?, 9, 9, 9, 900, ?)",
            (f"t{number}", state, text),
        )
    old.commit()
    old.close()
    store = Store(tmp_path, writable=True)
    trips = Record(store).incidents
    held, last = trips.get("t0"), trips.last("budget", CHANNEL)
    assert held is not None
    assert (held.reason_time, held.mark, held.served) == (600, "newapi-breaker t0: ", False)
    assert last is not None
    assert (last.id, last.reason_time) == ("t2", None)
    kept = [row["override_for"] for row in store.read("SELECT override_for FROM trips")]
    assert kept == [600, None, 600]
    store.close()


def test_filters(record: Record) -> None:
    for labels in (TELL_LABELS, TRIP_LABELS):
        record.add(make_alert(labels), RECORDED, 1)
    assert [row.rule for row in record.notifications(1)] == ["budget"]
    assert [row.rule for row in record.notifications(9, rule="watch")] == ["watch"]
    assert [row.rule for row in record.notifications(9, target="7")] == ["budget"]
    assert [row.rule for row in record.notifications(9, result="failed")] == []


def test_a_restart_keeps_all_of_it(tmp_path: Path) -> None:
    first = Store(tmp_path, writable=True)
    record = Record(first)
    record.incidents.open("t1", make_alert(), CHANNEL, 1, 0)
    record.add(make_alert(), TRIPPED, 1, change=HELD)
    before = record.notifications(10), record.totals(), record.held()
    first.close()
    for writable in (True, False):
        again = Store(tmp_path, writable=writable)
        record = Record(again)
        assert (record.notifications(10), record.totals(), record.held()) == before
        again.close()


def test_a_failure_leaves_nothing_half_done(record: Record, store: Store) -> None:
    record.incidents.open("t1", make_alert(), CHANNEL, 1, 0)
    with store.transaction() as connection:
        connection.execute("ALTER TABLE notices RENAME TO hidden")
    notice = compose(make_alert(), TRIPPED, "", "en")
    with pytest.raises(RecordError, match="no such table: notices"):
        record.add(make_alert(), TRIPPED, 2, change=HELD, notice=notice)
    assert (record.held(), record.notifications(9), record.totals()) == ([], [], {})


def test_a_file_that_cannot_be_used_is_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"record\.sqlite: unable to open database file$"):
        Store(tmp_path / "missing", writable=False)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / FILE).write_bytes(b"no database " * 100)
    with pytest.raises(RecordError, match="file is not a database"):
        Store(tmp_path / "broken", writable=True)
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match=r"File exists|Not a directory"):
        Store(tmp_path / "file", writable=True)
    newer = sqlite3.connect(tmp_path / FILE)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(
        RecordError, match=r"record\.sqlite: written by a newer version .99, this one knows 3.$"
    ):
        Store(tmp_path, writable=True)
