"""Each kind of outcome as the real Alertmanager has it, from what really happened."""

import json
import time
from pathlib import Path

import pytest

from newapi.database import Database
from tests.breaker import ON, SQLITE, Bench, Make, benches
from tests.gateway import put, run
from tests.gateway_channels import add_channel, enable, make_gateway, tables
from tests.servers import Alertmanager
from tests.webhooks import TRIP_LABELS, raw_alert

CONFIG = """
route: {receiver: nobody}
receivers: [{name: nobody}]
"""

make = pytest.fixture(benches)


def labels(channel: int) -> dict[str, str]:
    return TRIP_LABELS | {"channel_id": f"{channel}", "target": f"{channel}"}


def requests_go_on(database: Database, since: int) -> None:
    """Log requests of channel 7 from a minute after its trip on."""
    row = {"user_id": 1, "type": 2, "channel_id": 7, "token_name": "t", "use_time": 1}
    put(database, "logs", *(row | {"created_at": since + later} for later in range(62, 90, 2)))


def outcomes(bench: Bench, database: Database, file: Path) -> None:
    """Have each kind of outcome come to pass, on the channels 6 to 9."""
    now = int(bench.clock.now)
    mode = bench.breaker.store.path.parent / "mode"
    bench.post(raw_alert())
    requests_go_on(database, now)
    bench.clock.now += 90
    bench.breaker.confirmation.look()  # StillServing
    enable(database, 7)
    info = json.dumps({"status_reason": "", "status_time": now + 30})
    run(database, f"UPDATE channels SET other_info = '{info}' WHERE id = 7")
    bench.breaker.hold()  # SetAgain
    enable(database, 7)
    bench.breaker.hold()  # Released
    bench.post(raw_alert(labels(8)))  # Refused: it is protected
    mode.write_text("dry-run")
    bench.post(raw_alert(labels(9)))  # WouldTrip
    mode.write_text("enforce")
    file.rename(file.with_suffix(".away"))
    bench.post(raw_alert(labels(6)))  # Failed
    file.with_suffix(".away").rename(file)


@SQLITE
def test_alertmanager_has_each_outcome(gateway_url: str, make: Make) -> None:
    database = make_gateway(gateway_url)
    for number in range(6, 10):
        add_channel(database, number)
    with Alertmanager(CONFIG) as alertmanager:
        bench = make(gateway_url, alertmanager_url=alertmanager.url, breaker_protected_channels="8")
        bench.clock.now = int(time.time()) - 90
        outcomes(bench, database, Path(gateway_url.removeprefix("sqlite:///")))
        assert tables(database, 7)[::2] == (1, ON)
        assert bench.breaker.outbox is not None
        bench.breaker.outbox.post()
        found = {
            alert["labels"]["alertname"].removeprefix("NewAPIBreaker"): alert
            for alert in alertmanager.alerts()
        }
    told = {name: alert["annotations"]["summary"] for name, alert in found.items()}
    measure = ": 120,000 tokens in 1h, the limit is 100,000 tokens"
    assert told.pop("Failed").startswith(
        "Channel OpenAI main (#6) could not be disabled by rule budget, and is tried again: SQLite"
    )
    assert told == {
        "Tripped": f"Channel channel-7 (#7) was disabled by rule budget{measure}.",
        "StillServing": (
            "Channel channel-7 (#7) is disabled, and still 14 requests began later than 60 s"
            " after that. Does the gateway use another database, or a longer SYNC_FREQUENCY?"
        ),
        "SetAgain": (
            "Channel channel-7 (#7) was disabled again for rule budget: the gateway enabled it"
            " after a test."
        ),
        "Released": (
            "Channel channel-7 (#7), disabled by rule budget, was released: somebody enabled it"
            " in the gateway, which counts until the alert has ended, or for as long as the rule"
            " says (status 1)."
        ),
        "Refused": (
            "Channel channel-8 (#8) was not disabled by rule budget: it is protected"
            " (BREAKER_PROTECTED_CHANNELS)."
        ),
        "WouldTrip": (
            f"Channel channel-9 (#9) would have been disabled by rule budget{measure}. This is"
            " a dry run: nothing was done."
        ),
    }
    assert {alert["status"]["state"] for alert in found.values()} == {"active"}
    assert {len(alert["labels"].get("trip_id", "")) for alert in found.values()} == {8}
    database.close()
