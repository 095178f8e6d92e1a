"""Situations that every type of alert rule has to get right, as unit tests of promtool."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.rule_cases import GONE, LABELS, STEP, Kind, Story, Values


def stories(kind: Kind) -> Iterator[Story]:
    """Give the stories of a type."""
    for story in _STORIES:
        yield story(kind)
    if kind.few:
        yield _too_few(kind)
    if kind.type in {"token_usage", "cost"}:
        yield _projected(kind)
    if kind.type == "channel_down":
        yield _held(kind)


def documents(kind: Kind, rules: str, *, metricsql: bool = False) -> list[dict[str, Any]]:
    """Give the test files of a type: one for each length of step.

    Args:
        kind: the type.
        rules: path of its rule file.
        metricsql: for vmalert-tool, which calls the tests of expressions otherwise.
    """
    told = list(stories(kind))
    return [
        {
            "rule_files": [rules],
            "evaluation_interval": f"{step}s",
            "tests": [_test(story, metricsql) for story in told if story.step == step],
        }
        for step in sorted({story.step for story in told})
    ]


def _test(story: Story, metricsql: bool) -> dict[str, Any]:
    return {
        "name": f"{story.kind.type}: {story.name}",
        "interval": f"{story.step}s",
        "input_series": [{"series": name, "values": values} for name, values in story.series],
        "metricsql_expr_test" if metricsql else "promql_expr_test": [
            {
                "expr": expr,
                "eval_time": f"{step * story.step}s",
                "exp_samples": [{"labels": "{}", "value": value}],
            }
            for step, expr, value in story.checks
        ],
    }


def _edge(kind: Kind) -> Story:
    story = Story("at the threshold it fires, short of it not", kind, steps=20)
    story.exporter()
    story.rule()
    story.target(kind.at)
    story.target(kind.below, number="8")
    story.expect(10, trip=1, tell=1, where=', target="7"')
    story.expect(10, trip=0, tell=0, where=', target="8"')
    return story


def _only_tells(kind: Kind) -> Story:
    story = Story("a rule that only notifies never trips", kind, steps=20)
    story.exporter()
    story.rule(action="notify")
    story.target(kind.at)
    story.expect(10, trip=0, tell=1)
    return story


def _too_few(kind: Kind) -> Story:
    story = Story("below min_requests it says nothing", kind, steps=20)
    story.exporter()
    story.rule()
    for number, values in enumerate(kind.few):
        story.target(values, number=str(number))
    story.expect(10, trip=0, tell=0)
    return story


def _outside(kind: Kind) -> Story:
    story = Story("outside its hours, or switched off, it says nothing", kind, steps=20)
    story.exporter()
    story.rule(active=lambda _: 0)
    story.target(kind.at)
    story.expect(10, trip=0, tell=0)
    return story


def _leaves(kind: Kind) -> Story:
    story = Story("where its hours end, or it is switched off, it ends", kind)
    story.exporter()
    story.rule(active=lambda step: step < 20)
    story.target(kind.at)
    story.expect(19, trip=1, tell=1)
    story.expect(20, trip=0, tell=1)  # once more, to say that it is paused
    story.expect(23, trip=0, tell=0)
    return story


def _stale(kind: Kind) -> Story:
    story = Story("old data silence it", kind, steps=60)
    story.exporter(counted=lambda step: min(step, 20))
    story.rule()
    story.target(lambda step: kind.at if step > 8 else kind.below)
    story.expect(20 + kind.fresh // STEP - 1, trip=1, tell=1)
    story.expect(20 + kind.fresh // STEP, trip=0, tell=1)
    story.expect(20 + 300 // STEP - 1, trip=0, tell=1)
    story.expect(20 + 300 // STEP, trip=0, tell=0)
    return story


def _never_read(kind: Kind) -> Story:
    story = Story("what only old data show never fires", kind)
    story.exporter(counted=lambda _: 0)
    story.rule()
    story.target(lambda step: kind.at if step > 12 else kind.below)
    story.expect(15, trip=0, tell=0)
    story.expect(39, trip=0, tell=0)
    return story


def _logging_off(kind: Kind) -> Story:
    story = Story("consumption logging that goes off silences it", kind)
    story.exporter(logging=lambda step: step < 20)
    story.rule()
    story.target(kind.at)
    story.expect(19, trip=1, tell=1)
    story.expect(20, trip=0, tell=1)  # once more, to say that it is not known
    story.expect(23, trip=0, tell=0)
    story.expect(39, trip=0, tell=0)
    return story


def _two_exporters(kind: Kind) -> Story:
    story = Story("two exporters neither double a value nor break a join", kind)
    for instance in ("a", "b"):
        story.exporter(instance)
        story.rule(instance=instance)
        story.target(lambda step: kind.at if step > 10 else kind.below, instance=instance)
    story.expect(10, trip=0, tell=0)
    story.expect(20, trip=1, tell=1)
    return story


def _one_behind(kind: Kind) -> Story:
    story = Story("of two exporters, the one with old data is left out", kind)
    story.exporter("a")
    story.exporter("b", counted=lambda _: 0)
    for instance in ("a", "b"):
        story.rule(instance=instance)
    story.target(kind.below, instance="a")
    story.target(lambda step: kind.at if step > 12 else kind.below, instance="b")
    story.expect(20, trip=0, tell=0)
    return story


def _two_versions(kind: Kind) -> Story:
    story = Story("two exporters may know two versions of a rule for a while", kind)
    for instance, action in (("a", "disable_channel"), ("b", "notify")):
        story.exporter(instance)
        story.rule(instance=instance, action=action)
        story.target(kind.at, instance=instance)
    story.expect_value(10, f'count(ALERTS{{alertname="{kind.trip}"}})', 1)
    story.expect_value(10, f'count(ALERTS{{alertname="{kind.tell}"}}) > bool 0', 1)
    return story


def _two_servers(kind: Kind) -> Story:
    story = Story("the labels of two Prometheus servers make no second alert", kind)
    for server in ("one", "two"):
        story.exporter(prometheus=server)
        story.rule(prometheus=server)
        story.target(kind.at, prometheus=server)
        labels = {"rule": "R", "type": kind.type, **LABELS, "action": "disable_channel"}
        target = {"target": "7", "channel_id": "7", "prometheus": server}
        recorded = f"rule:newapi_{kind.type}:condition"
        story.show(recorded, labels | target, lambda _: kind.threshold / kind.unit)
    story.expect(10, trip=1, tell=1)
    return story


def _removed(kind: Kind) -> Story:
    story = Story("a rule that is removed ends", kind)
    story.exporter()
    story.rule(there=lambda step: step < 20, active=lambda step: step < 20)
    story.target(kind.at, up=lambda step: step < 20)
    story.expect(19, trip=1, tell=1)
    story.expect(20, trip=0, tell=1)  # once more, to say why it ends
    story.expect(23, trip=0, tell=0)
    return story


def _action_changed(kind: Kind) -> Story:
    story = Story("from disable_channel to notify: the trip ends at once", kind)
    story.exporter()
    story.rule(there=lambda step: step < 20, active=lambda step: step < 20)
    story.rule(
        action="notify",
        there=lambda step: step >= 20,
        active=lambda step: 1 if step >= 20 else GONE,
    )
    story.target(kind.at)
    story.expect(19, trip=1, tell=1)
    story.expect(20, trip=0, tell=1, where=', action="disable_channel"')
    story.expect(23, trip=0, tell=0, where=', action="disable_channel"')
    story.expect(23, trip=0, tell=1, where=', action="notify"')
    return story


def _threshold_moved(kind: Kind) -> Story:
    story = Story("a threshold that is moved away ends it", kind)
    away = kind.threshold / 2 if kind.type == "quota_low" else kind.threshold * 2
    story.exporter()
    story.rule(threshold=lambda step: kind.threshold if step < 20 else away)
    story.target(kind.at)
    story.expect(19, trip=1, tell=1)
    story.expect(20, trip=0, tell=0)
    return story


def _restart(kind: Kind) -> Story:
    story = Story("a restart of the exporter is no end", kind, steps=60)

    def up(step: int) -> bool:
        return not 20 <= step < 28

    story.exporter(up=up)
    story.rule(up=up)
    story.target(kind.at, up=up)
    story.expect(21, trip=0, tell=1)
    story.expect(50, trip=1, tell=1)
    tells = f'ALERTS{{alertname="{kind.tell}", alertstate="firing"}}'
    story.expect_value(50, f"sum(count_over_time({tells}[602s])) > bool 39", 1)
    return story


def _flapping(kind: Kind) -> Story:
    story = Story("an hour of flapping is one alert, which ends an hour later", kind, 130, step=60)
    story.exporter()
    story.rule()
    story.target(lambda step: kind.at if step < 60 and step // 3 % 2 == 0 else kind.below)
    begun = f'ALERTS_FOR_STATE{{alertname="{kind.tell}"}}'
    once = f"count(max_over_time({begun}[3450s]) == min_over_time({begun}[3450s]))"
    story.expect_value(60, once, 1)
    story.expect_value(60, f"sum(count_over_time({begun}[3450s]))", 58)
    story.expect(70, trip=0, tell=1)
    story.expect(114, trip=0, tell=1)
    story.expect(118, trip=0, tell=0)
    return story


def _projected(kind: Kind) -> Story:
    story = Story("a projected rule fires on its course, before and after it is there", kind)
    half = {name: value / 2 for name, value in kind.at.items()}
    story.exporter()
    story.rule(projected="true")
    story.target({**half, "projected": kind.threshold})
    story.target({**half, "projected": kind.threshold - 1}, number="8")
    story.target({**kind.at, "projected": 2 * kind.threshold}, number="9")
    story.expect(10, trip=2, tell=2)
    for number in ("7", "9"):  # the last is there already
        where = f', target="{number}", projected="true"'
        story.expect(10, trip=1, tell=1, where=where)
    return story


def _held(kind: Kind) -> Story:
    story = Story("what the breaker holds is left out, from the very trip on", kind, steps=60)
    story.exporter()
    story.rule()
    # The exporter sees the trip at once, Prometheus hears of it from the breaker a scrape later.
    story.target(lambda step: {"down": 2 if step >= 20 else 0})
    story.target(lambda step: {"down": 1 if step >= 20 else 0}, number="8")
    held = {"kind": "channel", "id": "7", "job": "newapi-breaker", "instance": "b"}
    story.show("newapi_breaker_held", held, lambda step: 1 if step >= 21 else GONE)
    other = {"kind": "api_key", "id": "8", "job": "newapi-breaker", "instance": "b"}
    story.show("newapi_breaker_held", other, lambda _: 1)
    for step in (20, 21, 22, 23, 59):
        story.expect(step, trip=0, tell=0, where=', target="7"')
    story.expect(59, trip=1, tell=1, where=', target="8"')
    return story


def _tripped(kind: Kind) -> Story:
    story = Story("a rule is silent about what the breaker holds, which has told of it", kind)
    story.exporter()
    story.rule()
    story.target(lambda step: kind.at if step >= 7 else kind.below)
    held = {"kind": "channel", "id": "7", "job": "newapi-breaker", "instance": "b"}
    story.show("newapi_breaker_held", held, lambda step: 1 if 13 <= step < 15 else GONE)
    trips = int(kind.type != "channel_down")
    story.expect(12, trip=1, tell=1)
    story.expect(13, trip=trips, tell=0)
    story.expect(30, trip=trips, tell=0)  # a scrape that fails is no release
    story.expect(39, trip=1, tell=1)
    return story


def _released(kind: Kind) -> Story:
    story = Story(
        "after a release it tells of what holds then, not of what led to the trip", kind, 170
    )
    story.exporter()
    story.rule()
    for number, again in (("7", 150), ("8", 170)):
        fires = {*range(7, 14), *range(again, 170)}
        story.target(_at(kind, fires), number=number)
        held = {"kind": "channel", "id": number, "job": "newapi-breaker", "instance": "b"}
        story.show("newapi_breaker_held", held, lambda step: 1 if 10 <= step < 100 else GONE)
    story.expect(99, trip=0, tell=0)
    story.expect(125, trip=0, tell=0)
    story.expect(140, trip=0, tell=0)
    story.expect(160, trip=1, tell=1, where=', target="7"')
    story.expect(160, trip=0, tell=0, where=', target="8"')
    return story


def _at(kind: Kind, steps: set[int]) -> Callable[[int], Values]:
    return lambda step: kind.at if step in steps else kind.below


_STORIES: Sequence[Callable[[Kind], Story]] = (
    _edge, _only_tells, _outside, _leaves, _stale, _never_read, _logging_off, _two_exporters,
    _one_behind, _two_versions, _two_servers, _removed, _action_changed, _threshold_moved,
    _restart, _flapping, _tripped, _released,
)  # fmt: skip
