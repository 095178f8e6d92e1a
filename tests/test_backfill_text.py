"""The text of a backfill against what /metrics would have shown at each of its points."""

import io
from collections import Counter as Count
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from exporter.backfill.grid import MARK, Grid, template
from exporter.backfill.text import END, Sheet
from exporter.catalogue import LOG_METRICS
from exporter.series import Catalogue, series_of
from exporter.totals import Totals, fold
from newapi.errors import Category
from newapi.events import Event
from newapi.rows import LogType, Source

START = 1_790_000_000 // 3600 * 3600
MORE = {"job": "newapi", "instance": "127.0.0.1:9847"}

Shown = dict[tuple[str, frozenset[tuple[str, str]], float], float]
"""Values by name, labels and time of a sample."""


def test_the_grid_begins_at_a_full_hour_and_ends_before_the_boundary() -> None:
    grid = Grid.over(1, START + 7200.5)
    assert grid.start == START + 7200 - 86400
    assert grid.last == START + 7200 - 240
    assert Grid.over(1, START + 7201.0).last == START + 7200


def test_full_hours_are_sampled_twice_a_millisecond_apart() -> None:
    lines, offsets = template([START, START + 240, START + 300.25])
    assert lines.decode().replace(MARK.decode(), "x").splitlines() == [
        f"x {START}",
        f"x {START}.001",
        f"x {START + 240}",
        f"x {START + 300}.250",
    ]
    assert [lines[o:].count(MARK) for o in offsets] == [4, 2, 1, 0]


def event(type_: LogType, channel: int, model: str, tokens: int, first_token: int) -> Event:
    return Event(
        type=type_,
        created_at=START,
        channel_id=channel,
        model=model,
        user_id=1,
        api_key_id=channel * 7,
        source=Source.USER,
        quota=tokens * 3,
        prompt=tokens,
        completion=1,
        cached=0,
        duration_ms=tokens * 1000,
        first_token_ms=first_token,
        broken="",
        category=Category.UPSTREAM if type_ is LogType.ERROR else None,
        request_id="",
        adjusted=(),
    )


EVENTS = st.builds(
    event,
    st.sampled_from(LogType),
    st.integers(1, 3),
    st.sampled_from(["gpt-4o", 'a "quoted"\\\nname', "模型", ""]),
    st.integers(0, 400),
    st.sampled_from([0, 200, 5000, 10**6]),
)
STEPS = st.lists(st.tuples(st.lists(EVENTS, max_size=4), st.booleans()), min_size=1, max_size=40)


@settings(deadline=None, max_examples=60)
@given(STEPS, st.sampled_from([(), ("newapi_quota_total", "newapi_request_duration_seconds")]))
def test_every_series_shows_its_sums_at_every_point_from_a_zero_on(
    steps: list[tuple[list[Event], bool]], hidden: tuple[str, ...]
) -> None:
    totals, expected = Totals(), {}
    catalogue = Catalogue({}, 1000)
    sheet, file = Sheet(totals.sums, MORE, hidden), io.BytesIO()
    sheet.add(START, ())
    count = 0
    for number, (events, write) in enumerate(steps):
        point = START + 240 * (number + 1)
        delta = fold(events)
        new = catalogue.new(delta)
        catalogue.add(new)
        for metric, values in delta.sums.items():
            for labels in values:
                if series_of(metric, labels) in new:
                    totals.add(metric, labels, 0)
        expected.update(shown(totals, point - 240, hidden))
        sheet.appear(new)
        if write:
            count += sheet.write(file)
        totals.merge(delta)
        sheet.add(point, {series_of(m, key) for m, v in delta.sums.items() for key in v})
        expected.update(shown(totals, point, hidden))
    count += sheet.write(file)
    assert parsed(file.getvalue()) == expected
    assert count == file.getvalue().count(b"\n")


def test_a_sheet_goes_on_from_sums_that_were_saved() -> None:
    totals = fold([event(LogType.CONSUME, 1, "m", 5, 200)])
    sheet, file = Sheet(totals.sums, MORE, ()), io.BytesIO()
    sheet.add(START + 240, ())
    sheet.write(file)
    assert parsed(file.getvalue()) == shown(totals, START + 240, ())


def shown(totals: Totals, point: int, hidden: tuple[str, ...]) -> Shown:
    """What /metrics shows of these sums, as samples at a point."""
    return {
        (sample.name, frozenset((sample.labels | MORE).items()) - {("model", "")}, moment): float(
            sample.value
        )
        for metric in LOG_METRICS
        if metric.name not in hidden
        for sample in metric.family(totals.sums).samples
        for moment in ([point, point + 0.001] if point % 3600 == 0 else [point])
    }


def parsed(text: bytes) -> Shown:
    """What a strict reader of OpenMetrics finds, given each series by itself."""
    found: Shown = {}
    lines: dict[str, list[str]] = {}
    for line in text.decode().replace("\r", "").split("\n")[:-1]:
        lines.setdefault(line.rsplit(" ", 2)[0], []).append(line)
    for series in lines.values():
        for sample in samples("\n".join([*series, END.decode()])):
            key = sample.name, frozenset(sample.labels.items()), float(str(sample.timestamp))
            assert key not in found
            found[key] = sample.value
    return found


def samples(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        yield from family.samples


def test_the_samples_of_a_scrape_have_the_same_order_everywhere() -> None:
    sums = fold([event(LogType.CONSUME, 1, "m", 5, 200)]).sums
    for metric in LOG_METRICS:
        names = [s.name.removeprefix(metric.name) for s in metric.family(sums).samples]
        counted = Count(names)
        if "_bucket" in counted:
            assert names == ["_bucket"] * counted["_bucket"] + ["_count", "_sum"]
