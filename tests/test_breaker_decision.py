"""What is decided about an alert, and about a channel as it was found."""

from typing import Any

import pytest

from breaker.decision import (
    FORGOTTEN,
    IN_DOUBT,
    SETTLED,
    Decision,
    Reason,
    Release,
    Result,
    Step,
    Target,
    Trip,
    TripState,
    decide,
    judge,
    released_reason,
    written_reason,
)
from breaker.mode import Mode, ModeSwitch
from newapi.switch import Kind, State
from tests.webhooks import TELL_LABELS, TRIP_LABELS, make_alert

NOW = 1_800_000_000
CHANNEL = Target(Kind.CHANNEL, 7)
RECORDED = Decision(Result.RECORDED)
REPEATED = Decision(Result.REPEATED)


def refused(reason: Reason) -> Decision:
    return Decision(Result.REFUSED, reason)


@pytest.mark.parametrize("mode", Mode)
def test_what_asks_for_nothing_is_recorded_only(mode: Mode) -> None:
    assert decide(make_alert(TELL_LABELS), None, mode, NOW) == RECORDED
    told = {name: value for name, value in TRIP_LABELS.items() if name != "purpose"}
    assert decide(make_alert(told), None, mode, NOW) == RECORDED
    assert decide(make_alert(TRIP_LABELS | {"purpose": "tell"}), None, mode, NOW) == RECORDED
    assert decide(make_alert(TRIP_LABELS | {"action": ""}), None, mode, NOW) == RECORDED
    assert decide(make_alert(status="resolved"), None, mode, NOW) == RECORDED


@pytest.mark.parametrize(
    ("labels", "decision"),
    [
        ({"action": "disable_api_key"}, refused(Reason.BAD_ALERT)),
        ({"action": "disable_api_key", "api_key_id": "3"}, None),
        ({"action": "drop_table"}, refused(Reason.UNSUPPORTED_ACTION)),
        ({"channel_id": "x"}, refused(Reason.BAD_ALERT)),
        ({"channel_id": ""}, refused(Reason.BAD_ALERT)),
        ({"rule": ""}, refused(Reason.BAD_ALERT)),
        ({"target": ""}, refused(Reason.BAD_ALERT)),
        ({}, None),
    ],
)
def test_only_what_is_understood_is_acted_upon(
    labels: dict[str, str], decision: Decision | None
) -> None:
    assert decide(make_alert(TRIP_LABELS | labels), None, Mode.ENFORCE, NOW) == decision


def trip(state: TripState, **more: Any) -> Trip:
    return Trip("mine", state, CHANNEL, **({"heard_at": NOW, "changed_at": NOW} | more))


@pytest.mark.parametrize(
    ("last", "mode", "decision"),
    [
        (trip(TripState.HELD), Mode.ENFORCE, REPEATED),
        (trip(TripState.HELD), Mode.DRY_RUN, REPEATED),
        (trip(TripState.HELD), Mode.OFF, REPEATED),
        (trip(TripState.RELEASING), Mode.ENFORCE, REPEATED),
        (trip(TripState.HELD, ended_at=NOW - SETTLED), Mode.ENFORCE, None),
        (trip(TripState.HELD, ended_at=NOW - SETTLED), Mode.OFF, refused(Reason.OFF)),
        # It ended a moment ago and is back: it flaps, or its rule was edited.
        (trip(TripState.HELD, ended_at=NOW - SETTLED + 1), Mode.ENFORCE, REPEATED),
        # Its end was lost.
        (trip(TripState.HELD, heard_at=NOW - FORGOTTEN), Mode.ENFORCE, None),
        (trip(TripState.WOULD), Mode.DRY_RUN, REPEATED),
        (trip(TripState.WOULD), Mode.ENFORCE, None),
        (trip(TripState.WOULD, ended_at=NOW - SETTLED), Mode.DRY_RUN, REPEATED),
        (trip(TripState.WOULD, heard_at=NOW - FORGOTTEN), Mode.DRY_RUN, None),
        (trip(TripState.PENDING), Mode.ENFORCE, None),
        (trip(TripState.WRITING), Mode.ENFORCE, None),
        (trip(TripState.NOTHING), Mode.ENFORCE, None),
        (trip(TripState.COVERED), Mode.ENFORCE, None),
        (trip(TripState.RELEASED), Mode.ENFORCE, None),
        (None, Mode.OFF, refused(Reason.OFF)),
        (None, Mode.DRY_RUN, None),
    ],
)
def test_one_incident_is_one_trip(last: Trip | None, mode: Mode, decision: Decision | None) -> None:
    found = decide(make_alert(), last, mode, NOW)
    assert (found and (found.result, found.reason)) == (
        decision and (decision.result, decision.reason)
    )


@pytest.mark.parametrize(
    ("by", "override_for", "since", "ended", "counts"),
    [
        (Release.PERSON, None, 10**6, False, True),
        (Release.PERSON, None, 10**6, True, False),
        (Release.COMMAND, None, 10, False, True),
        (Release.PERSON, 600, 599, True, True),
        (Release.PERSON, 600, 600, False, False),
        (Release.TIMER, None, 1, False, False),
        (Release.TIMER, 600, 1, False, False),
        (Release.TAKEN_OVER, None, 1, False, False),
        (Release.GONE, None, 1, False, False),
    ],
)
def test_how_long_a_release_counts(
    by: Release, override_for: int | None, since: int, ended: bool, counts: bool
) -> None:
    last = trip(
        TripState.RELEASED,
        released_by=by,
        released_at=NOW - since,
        ended_at=NOW - SETTLED if ended else None,
    )
    labels = TRIP_LABELS | ({"override_for": str(override_for)} if override_for else {})
    decision = decide(make_alert(labels), last, Mode.ENFORCE, NOW)
    assert (decision is not None and decision.reason == Reason.OVERRIDDEN) is counts


def found(status: int, reason: str | None = "") -> State:
    enabled = 4 if status == 1 else 0
    return State("name", status, reason=reason, abilities=4, enabled_abilities=enabled)


OURS, OTHERS = written_reason("mine", "x"), written_reason("theirs", "x")
HALF = State("name", 2, reason=OURS, abilities=4, enabled_abilities=2)


@pytest.mark.parametrize(
    ("state", "progress", "mode", "expected"),
    [
        (None, TripState.PENDING, Mode.ENFORCE, (Step.LEAVE, Reason.NOT_FOUND)),
        (found(1), TripState.PENDING, Mode.ENFORCE, (Step.WRITE, "")),
        (found(1), TripState.WRITING, Mode.ENFORCE, (Step.WRITE, "")),
        (found(1), TripState.PENDING, Mode.DRY_RUN, (Step.SAY, "")),
        (found(2, OURS), TripState.WRITING, Mode.ENFORCE, (Step.KEEP, "")),
        (found(2, OURS), TripState.WRITING, Mode.DRY_RUN, (Step.KEEP, "")),
        (found(3, OURS), TripState.WRITING, Mode.ENFORCE, (Step.KEEP, "")),
        (HALF, TripState.WRITING, Mode.ENFORCE, (Step.UNDONE, "")),
        (found(2, OTHERS), TripState.WRITING, Mode.ENFORCE, (Step.COVERED, "")),
        (found(2), TripState.WRITING, Mode.ENFORCE, (Step.LEAVE, Reason.ALREADY_DISABLED)),
        (found(3, "401"), TripState.PENDING, Mode.ENFORCE, (Step.LEAVE, Reason.ALREADY_DISABLED)),
        (found(0), TripState.PENDING, Mode.ENFORCE, (Step.LEAVE, Reason.ALREADY_DISABLED)),
        # What was released, and is off since by somebody else.
        (
            found(2, released_reason("mine", Release.TIMER)),
            TripState.PENDING, Mode.ENFORCE, (Step.LEAVE, Reason.ALREADY_DISABLED),
        ),
        # One API gives no reason: what was begun to be disabled is ours, what was not is not.
        (found(2, None), TripState.WRITING, Mode.ENFORCE, (Step.KEEP, "")),
        (found(2, None), TripState.PENDING, Mode.ENFORCE, (Step.LEAVE, Reason.ALREADY_DISABLED)),
        # What the gateway gave another status, as to an API key that is used up, is not.
        (found(4, None), TripState.WRITING, Mode.ENFORCE, (Step.LEAVE, Reason.ALREADY_DISABLED)),
    ],
)  # fmt: skip
def test_a_target_is_judged_as_it_is_found(
    state: State | None, progress: TripState, mode: Mode, expected: tuple[Step, str]
) -> None:
    assert judge(state, trip(progress), mode, NOW, covered=False) == expected


def test_in_doubt_what_was_begun_long_ago_is_not_ours() -> None:
    begun = trip(TripState.WRITING, changed_at=NOW - IN_DOUBT)
    judged = judge(found(2, None), begun, Mode.ENFORCE, NOW, covered=False)
    assert judged == (Step.LEAVE, Reason.ALREADY_DISABLED)
    assert judge(found(2, None), begun, Mode.ENFORCE, NOW - 1, covered=False) == (Step.KEEP, "")


def test_what_another_trip_holds_is_left_to_it() -> None:
    for state in (found(1), found(2, OTHERS), found(2, None)):
        judged = judge(state, trip(TripState.PENDING), Mode.ENFORCE, NOW, covered=True)
        assert judged == (Step.COVERED, "")


def test_the_file_is_a_kill_switch(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("state") / "mode"
    mode = ModeSwitch(Mode.ENFORCE, file)
    assert mode() is Mode.ENFORCE
    for text, expected in (
        ("off\n", Mode.OFF),
        (" Dry-Run ", Mode.DRY_RUN),
        ("enforce", Mode.ENFORCE),
        ("", Mode.OFF),
        ("stop it!", Mode.OFF),
    ):
        file.write_text(text)
        assert mode() is expected
    file.write_bytes(b"\xff")
    assert mode() is Mode.OFF
    file.unlink()
    file.mkdir()
    assert mode() is Mode.OFF
    file.rmdir()
    assert mode() is Mode.ENFORCE
