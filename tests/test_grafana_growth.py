"""Usage as a difference of two samples, whatever befalls an exporter and a Prometheus."""

from collections.abc import Iterator

import pytest

from grafana import counters
from grafana.metrics import COUNTED_CHANNELS, REQUESTS, TOKENS
from grafana.promql import RANGE, WHOLE, last
from tests.grafana_queries import dashboard, options, substitute
from tests.servers import Prometheus, promtool

END = 1_767_268_800
HOUR, STEP = 3600, 120
OLD, NEW = "10.0.0.2:9847", "10.0.0.3:9847"


def _series(name: str, labels: str, points: list[tuple[int, float]]) -> Iterator[str]:
    for moment, value in points:
        yield f"{name}{{{labels}}} {value} {moment}\n"


def _every(start: int, end: int, a_minute: float, first: float = 0) -> list[tuple[int, float]]:
    return [(t, first + (t - start) / 60 * a_minute) for t in range(start, end + 1, STEP)]


def _labels(channel: str, instance: str = OLD, kind: str = 'direction="prompt"') -> str:
    return f'channel_id="{channel}",model="m",{kind},instance="{instance}",job="newapi"'


def openmetrics() -> Iterator[str]:
    """Four hours; each channel has a fate of its own."""
    begin = END - 4 * HOUR
    since = f'instance="{OLD}",job="newapi"'
    yield from _series(
        "newapi_counting_since_timestamp_seconds", since,
        [(t, begin - 40 * 86400) for t, _ in _every(begin, END, 0)],
    )  # fmt: skip
    # The exporter that counts them has another address in the last hour; at 5 a minute before.
    moved = END - HOUR
    requests = REQUESTS.name
    source = 'source="user"'
    long_ago = [(END - 48 * HOUR, 6_000.0)]
    counted = [*long_ago, *_every(begin, moved, 5, 7_000)]
    yield from _series(requests, _labels("1", OLD, source), counted)
    yield from _series(requests, _labels("1", NEW, source), _every(moved, END, 5, 7_900))
    # Tokens of channel 1 go on likewise; 2 is new; 3 had a reset when the state was lost.
    yield from _series(TOKENS.name, _labels("1"), _every(begin, moved, 10, 1_000_000))
    yield from _series(TOKENS.name, _labels("1", NEW), _every(moved, END, 10, 1_001_800))
    yield from _series(TOKENS.name, _labels("2"), _every(END - HOUR, END, 20))
    yield from _series(TOKENS.name, _labels("3"), _every(begin, END - HOUR, 1, 500_000))
    yield from _series(TOKENS.name, _labels("3", NEW), _every(END - 1800, END, 1))
    recorded = "model:newapi_tokens:total"
    for model, start, first in (("old", begin, 9_000.0), ("new", END - HOUR, 0.0)):
        yield from _series(
            recorded, f'model="{model}",direction="prompt"', _every(start, END, 60, first)
        )
    # State was lost between four and two days ago.
    days_ago = [(END - days * 24 * HOUR, value) for days, value in ((4, 1e6), (2, 0.0), (1, 0.0))]
    yield from _series("gateway:newapi_requests:total", "", [*days_ago, *_every(begin, END, 5)])
    # Channel 8 was gone a day ago.
    name = COUNTED_CHANNELS.format("gateway")
    yield from _series(name, 'channel_id="8"', [(END - 48 * HOUR, 1.0)])
    channel = 'channel_id="2",direction="prompt"'
    yield from _series("channel:newapi_tokens:total", channel, _every(begin, END, 7))
    # Channel 9 stood still and is gone in the middle, with its part of the sums.
    moment = END - 90 * 60
    standing = [(t, 100_000.0) for t, _ in _every(begin, moment, 0)]
    yield from _series(TOKENS.name, _labels("9").replace('"m"', '"left"'), standing)
    had = dict(standing)
    sums = [(t, value + had.get(t, 0)) for t, value in _every(begin, END, 30, 500)]
    for level, labels in (("gateway", ""), ("model", 'model="left",')):
        yield from _series(f"{level}:newapi_tokens:total", f'{labels}direction="prompt"', sums)
        yield from _series(
            COUNTED_CHANNELS.format(level), 'channel_id="9"', [(t, 1) for t, _ in standing]
        )
    yield "# EOF\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    text = tmp_path_factory.mktemp("growth") / "samples.om"
    with text.open("w") as file:
        file.writelines(openmetrics())
    server = Prometheus("scrape_configs: []\n")
    promtool("tsdb", "create-blocks-from", "openmetrics", text, server.data)
    with server:
        yield server


def tokens(server: Prometheus, length: str) -> dict[str, float]:
    expr = counters.growth(TOKENS, RANGE, ("channel_id",))
    found = server.query(substitute(expr, length, end=END), at=END)
    return {one.labels["channel_id"]: one.value for one in found}


def test_another_address_of_the_exporter(server: Prometheus) -> None:
    """The maximum over instances of increase() would miss what one of them counted."""
    assert tokens(server, "3h")["1"] == 10 * 180


def test_a_new_series_began_at_zero(server: Prometheus) -> None:
    assert tokens(server, "3h")["2"] == 20 * 60


def test_a_lost_state_counts_what_came_since(server: Prometheus) -> None:
    assert tokens(server, "3h")["3"] == 30


def test_a_hole_at_the_start_says_nothing(server: Prometheus) -> None:
    """Before the samples nothing is known, and counting began long before: no lifetime's total."""
    assert tokens(server, "6h") == {}


def test_the_same_in_a_range_query(server: Prometheus) -> None:
    expr = counters.growth(TOKENS, WHOLE, ("channel_id",))
    answer = server.get(
        "/api/v1/query_range", query=substitute(expr, "3h", end=END),
        start=str(END - 600), end=str(END), step="600",
    )  # fmt: skip
    for one in answer["data"]["result"]:
        expected = tokens(server, "3h")[one["metric"]["channel_id"]]
        assert [float(value) for _, value in one["values"]] == [expected, expected]


def grown(server: Prometheus, expr: str, **variables: str) -> dict[str, float]:
    """The growth of two hours, by model."""
    found = server.query(substitute(expr, "2h", end=END, **variables), at=END)
    return {one.labels.get("model", ""): one.value for one in found}


OF_COUNTERS = 10 * 120 + 20 * 60 + 30


def test_a_long_range_reads_recorded_totals(server: Prometheus) -> None:
    by_model = counters.growth(TOKENS, RANGE, ("model",))
    totals = {"old": 60 * 120, "new": 60 * 60, "left": 30 * 120}
    assert grown(server, by_model, exact="none", gone="9") == totals
    assert grown(server, by_model, exact=".*") == {"m": OF_COUNTERS}
    whole = counters.growth(TOKENS, RANGE)
    assert grown(server, whole, exact="none", gone="9") == {"": 30 * 120}
    assert grown(server, whole, exact=".*") == {"": OF_COUNTERS}
    pair = counters.growth(TOKENS, RANGE, ("channel_id", "model"), 'channel_id="2"')
    assert grown(server, pair, exact="none") == {"m": 20 * 60}  # is not recorded


def test_a_channel_that_leaves_takes_nothing_from_a_long_range(server: Prometheus) -> None:
    """Its part of the sums is made up for; where it is not known, nothing is said."""
    whole = counters.growth(TOKENS, WHOLE)
    assert grown(server, whole, exact="none", gone="9") == {"": 30 * 120}
    assert grown(server, whole, exact="none") == {}
    before = counters.earlier(counters.growth(TOKENS, RANGE))
    filled = substitute(before, "1h", end=END, exact_before="none", gone="9")
    assert [one.value for one in server.query(filled, at=END)] == [30 * 60]


@pytest.mark.parametrize("exact", ["none", ".*"])
def test_a_long_range_of_what_is_chosen(server: Prometheus, exact: str) -> None:
    expr = counters.growth(TOKENS, RANGE, (), "", ("channel", "model"))
    recorded = exact == "none"

    def chosen(channel: str, model: str) -> list[float]:
        found = grown(server, expr, exact=exact, gone="9", channel=channel, model=model)
        return list(found.values())

    assert chosen(".*", ".*") == [30 * 120 if recorded else OF_COUNTERS]
    assert chosen("2", ".*") == [7 * 120 if recorded else 20 * 60]
    assert chosen(".*", "old") == ([60 * 120] if recorded else [])
    assert chosen("2", "m") == [20 * 60]
    assert chosen(".*", "none") == []


def values(server: Prometheus, length: str, at: int) -> dict[str, str]:
    """The variables that say what is read off the counters, for a range that ends then."""
    found = {}
    for variable in dashboard("en", "overview")["templating"]["list"]:
        if variable["name"].startswith("exact"):
            expr = variable["query"]["query"].removeprefix("query_result(").removesuffix(")")
            samples = server.query(substitute(expr, length, end=at), at=at)
            [found[variable["name"]]] = options(variable, samples, at)
    return found


@pytest.mark.parametrize(
    ("length", "exact", "before"),
    [
        ("2h", ".*", ".*"),  # shorter than a day
        ("24h", "none", ".*"),  # recorded; before, a channel left
        ("48h", "none", "none"),  # recorded; nothing before it
        ("72h", ".*", "none"),  # not recorded so long ago
        ("96h", ".*", "none"),  # more was recorded at its start
    ],
)
def test_when_a_range_reads_recorded_totals(
    server: Prometheus, length: str, exact: str, before: str
) -> None:
    expected = {"exact": exact, "exact_before": before, "exact_day": "none"}
    assert values(server, length, END) == expected


@pytest.mark.parametrize("hours", [3, 24])
def test_when_the_last_hours_do_not(server: Prometheus, hours: int) -> None:
    """Nothing was recorded a day before, or a channel left since."""
    assert values(server, "2h", END - hours * HOUR)["exact_day"] == ".*"


def test_the_last_hours_read_recorded_totals(server: Prometheus) -> None:
    by_model = counters.growth(TOKENS, last(1), ("model",))
    totals = {"old": 60 * 60, "new": 60 * 60, "left": 30 * 60}
    assert grown(server, by_model, exact_day="none") == totals
    assert grown(server, by_model, exact_day=".*") == {"m": 10 * 60 + 20 * 60 + 30}


def test_graphs_from_recorded_totals_add_up(server: Prometheus) -> None:
    expr = counters.steps(TOKENS, "model", ("model",))
    answer = server.get(
        "/api/v1/query_range", query=substitute(expr, "2h", "10m", END, past="none", gone="9"),
        start=str(END - 2 * HOUR + 600), end=str(END), step="600",
    )  # fmt: skip
    sums = {
        one["metric"]["model"]: sum(float(value) for _, value in one["values"])
        for one in answer["data"]["result"]
    }
    assert sums == {"old": 60 * 120, "new": 60 * 60, "left": 30 * 120}


@pytest.mark.parametrize(
    ("channel", "model", "a_minute"),
    [(".*", ".*", 30), (".*", "old", 60), ("2", ".*", 7), ("2", "m", 20)],
)
def test_what_is_chosen_is_drawn_from_the_fewest_series(
    server: Prometheus, channel: str, model: str, a_minute: int
) -> None:
    expr = counters.chosen_steps(TOKENS, ("channel", "model"))
    answer = server.get(
        "/api/v1/query_range", start=str(END - HOUR + 600), end=str(END), step="600",
        query=substitute(expr, "1h", "10m", END, past="none", channel=channel, model=model),
    )  # fmt: skip
    [found] = answer["data"]["result"]
    assert [float(value) for _, value in found["values"]] == [a_minute * 10] * 6


@pytest.mark.parametrize(
    "expr",
    [
        counters.steps(TOKENS, "gateway"),
        counters.chosen_steps(TOKENS, ("channel", "model")),
        counters.steps(TOKENS, "model", ("model",), 'model="left"'),
    ],
    ids=["gateway", "All", "model"],
)
def test_a_channel_that_leaves_takes_no_usage_along(server: Prometheus, expr: str) -> None:
    """Its part of the sums is made up for; where it is not known, nothing is drawn, not 0."""

    def drawn(**variables: str) -> list[float]:
        filled = substitute(expr, "3h", "10m", END, past="none", **variables)
        answer = server.get("/api/v1/query_range", query=filled, start=str(END - 3 * HOUR + 600),
                            end=str(END), step="600")  # fmt: skip
        [found] = answer["data"]["result"]
        return [float(value) for _, value in found["values"]]

    assert drawn(gone="9") == [300.0] * 18
    assert drawn() == [300.0] * 17
