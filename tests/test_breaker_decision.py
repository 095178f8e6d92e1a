"""What is decided about an alert, and about a channel as it was found."""

import pytest

from breaker.decision import (
    Decision,
    Reason,
    Result,
    Step,
    Trip,
    TripState,
    decide,
    judge,
    written_reason,
)
from breaker.mode import Mode, ModeSwitch
from newapi.switch import ChannelState
from tests.test_breaker_webhook import TELL_LABELS, TRIP_LABELS, make_alert

RECORDED = Decision(Result.RECORDED)
REPEATED = Decision(Result.REPEATED)


def refused(reason: Reason) -> Decision:
    return Decision(Result.REFUSED, reason)


@pytest.mark.parametrize("mode", Mode)
def test_what_asks_for_nothing_is_recorded_only(mode: Mode) -> None:
    assert decide(make_alert(TELL_LABELS), None, mode) == RECORDED
    told = {name: value for name, value in TRIP_LABELS.items() if name != "purpose"}
    assert decide(make_alert(told), None, mode) == RECORDED
    assert decide(make_alert(TRIP_LABELS | {"purpose": "tell"}), None, mode) == RECORDED
    assert decide(make_alert(TRIP_LABELS | {"action": ""}), None, mode) == RECORDED
    assert decide(make_alert(status="resolved"), None, mode) == RECORDED


@pytest.mark.parametrize(
    ("labels", "decision"),
    [
        ({"action": "disable_api_key"}, refused(Reason.UNSUPPORTED_ACTION)),
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
    assert decide(make_alert(TRIP_LABELS | labels), None, Mode.ENFORCE) == decision


@pytest.mark.parametrize(
    ("state", "ended", "mode", "decision"),
    [
        (TripState.HELD, False, Mode.ENFORCE, REPEATED),
        (TripState.HELD, False, Mode.DRY_RUN, REPEATED),
        (TripState.HELD, False, Mode.OFF, REPEATED),
        (TripState.HELD, True, Mode.ENFORCE, None),
        (TripState.HELD, True, Mode.OFF, refused(Reason.OFF)),
        (TripState.WOULD, False, Mode.DRY_RUN, REPEATED),
        (TripState.WOULD, False, Mode.ENFORCE, None),
        (TripState.WOULD, True, Mode.DRY_RUN, None),
        (TripState.PENDING, False, Mode.ENFORCE, None),
        (TripState.WRITING, False, Mode.ENFORCE, None),
        (TripState.NOTHING, False, Mode.ENFORCE, None),
        (TripState.RELEASED, False, Mode.ENFORCE, None),
        (None, False, Mode.OFF, refused(Reason.OFF)),
        (None, False, Mode.DRY_RUN, None),
    ],
)
def test_one_incident_is_one_trip(
    state: TripState | None, ended: bool, mode: Mode, decision: Decision | None
) -> None:
    last = Trip("id", state, ended) if state is not None else None
    assert decide(make_alert(), last, mode) == decision


def found(status: int, reason: str | None = "") -> ChannelState:
    return ChannelState("name", status, reason, 4, 4 if status == 1 else 0)


OURS, OTHERS = written_reason("mine", "x"), written_reason("theirs", "x")
HALF = ChannelState("name", 2, OURS, 4, 2)


@pytest.mark.parametrize(
    ("channel", "state", "mode", "expected"),
    [
        (None, TripState.PENDING, Mode.ENFORCE, (Step.LEAVE, Reason.NOT_FOUND)),
        (found(1), TripState.PENDING, Mode.ENFORCE, (Step.WRITE, None)),
        (found(1), TripState.WRITING, Mode.ENFORCE, (Step.WRITE, None)),
        (found(1, OURS), TripState.HELD, Mode.ENFORCE, (Step.WRITE, None)),
        (found(1), TripState.PENDING, Mode.DRY_RUN, (Step.SAY, None)),
        (found(2, OURS), TripState.WRITING, Mode.ENFORCE, (Step.KEEP, None)),
        (found(2, OURS), TripState.WRITING, Mode.DRY_RUN, (Step.KEEP, None)),
        (found(3, OURS), TripState.HELD, Mode.ENFORCE, (Step.KEEP, None)),
        (HALF, TripState.WRITING, Mode.ENFORCE, (Step.UNDONE, None)),
        (HALF, TripState.HELD, Mode.ENFORCE, (Step.UNDONE, None)),
        (found(2, OTHERS), TripState.WRITING, Mode.ENFORCE, (Step.LEAVE, Reason.OTHER_BREAKER)),
        (found(2), TripState.WRITING, Mode.ENFORCE, (Step.LEAVE, Reason.ALREADY_DISABLED)),
        (found(3, "401"), TripState.PENDING, Mode.ENFORCE, (Step.LEAVE, Reason.ALREADY_DISABLED)),
        (found(0), TripState.PENDING, Mode.ENFORCE, (Step.LEAVE, Reason.ALREADY_DISABLED)),
        # One API gives no reason: what was begun to be disabled is ours, what was not is not.
        (found(2, None), TripState.WRITING, Mode.ENFORCE, (Step.KEEP, None)),
        (found(2, None), TripState.HELD, Mode.ENFORCE, (Step.KEEP, None)),
        (found(2, None), TripState.PENDING, Mode.ENFORCE, (Step.LEAVE, Reason.ALREADY_DISABLED)),
    ],
)
def test_a_channel_is_judged_as_it_is_found(
    channel: ChannelState | None,
    state: TripState,
    mode: Mode,
    expected: tuple[Step, Reason | None],
) -> None:
    assert judge(channel, Trip("mine", state, ended=False), mode) == expected


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
