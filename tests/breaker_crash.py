"""A breaker that kills itself in the middle of its work, and the one that is started after it."""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Never

import newapi.switch_channel
from breaker.cli import main
from breaker.incidents import Incidents
from breaker.record import Record
from breaker.serve import Breaker
from breaker.settings import BreakerSettings
from newapi.database import Database
from newapi.switch_channel import ChannelSwitch
from newapi.switch_key import ApiKeySwitch
from service.settings import load
from tests.breaker import BEARER, TOKEN, Bench, Clock

POINTS = ("look", "intent", "write", "half", "result", "record", "answer")
"""What is about to be done; half is between the statements of a transaction."""

NOW, LATER = 1_800_000_000, 2_000_000_000
"""When it is killed, and when all timers are over; unix seconds."""

# Forked from a process that has imported everything: Python takes half a second for that.
_PROCESSES = get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])


def kill(point: str, dsn: str, folder: Path, body: object, *, later: bool = False) -> None:
    """Have a breaker kill itself.

    Args:
        point: before what.
        dsn: the gateway's database.
        folder: where its state is.
        body: the webhook that it delivers to itself, a command line, or None to look at all.
        later: whether all timers are over.
    """
    environment = {
        "BREAKER_TOKEN": TOKEN,
        "BREAKER_STATE": str(folder / "state"),
        "BREAKER_SQL_DSN": dsn,
    }
    now = float(LATER if later else NOW)
    process = _PROCESSES.Process(target=_run, args=(point, environment, now, body))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def restarted(dsn: str, folder: Path) -> Bench:
    """The breaker after it was killed."""
    settings = BreakerSettings(
        breaker_token=TOKEN, breaker_state=folder / "state", breaker_sql_dsn=dsn
    )
    clock = Clock(NOW)
    return Bench(Breaker(settings, clock=clock, new_id=lambda: "after-it"), clock)


def _run(point: str, environment: dict[str, str], now: float, body: object) -> None:
    os.environ |= environment
    time.time = lambda: now
    breaker = Breaker(load(BreakerSettings), clock=time.time)
    _lay_in_wait(point)
    if body is None:
        breaker.hold()
        breaker.hold()
    elif isinstance(body, list):
        main(body, prog_name="newapi-breaker", standalone_mode=False)
    else:
        breaker.app().test_client().post("/alerts", headers=BEARER, json=body)
    if point == "answer":
        _die()


def _die(*_: object, **_more: object) -> Never:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("survived")


def _lay_in_wait(point: str) -> None:
    """Put the end where it is to come; it is this process alone that is changed."""
    for switch in (ChannelSwitch, ApiKeySwitch):
        for name in ("disable", "set_again", "release"):
            setattr(switch, name, _around(getattr(switch, name), point))
    places: dict[str, list[tuple[Any, str]]] = {
        "look": [(Database, "connect")],
        "intent": [(Incidents, "move")],
        "record": [(Record, "add"), (Record, "note")],
    }
    for owner, name in places.get(point, []):
        setattr(owner, name, _die)


def _around(write: Callable[..., Any], point: str) -> Callable[..., Any]:
    def killing(*args: object) -> object:
        if point == "write":
            _die()
        if point == "half":
            newapi.switch_channel._merged = _die
        outcome = write(*args)
        if point == "result":
            _die()
        return outcome

    return killing
