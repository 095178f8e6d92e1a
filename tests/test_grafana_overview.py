"""The Overview's queries give the right answers on a real Prometheus."""

import math
from collections.abc import Iterator
from typing import Any

import pytest

from tests import grafana_samples as samples
from tests.grafana_queries import Query, dashboard, queries, substitute
from tests.servers import Prometheus, Sample, promtool

QUERIES = queries(dashboard("en", "overview"))
BY_NAME = {(query.panel, query.ref): query.expr for query in QUERIES}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    text = tmp_path_factory.mktemp("samples") / "samples.om"
    with text.open("w") as file:
        file.writelines(samples.openmetrics())
    server = Prometheus("scrape_configs: []\n")
    promtool("tsdb", "create-blocks-from", "openmetrics", text, server.data)
    with server:
        yield server


class Answers:
    """What the panels show for the last hour of the samples."""

    def __init__(self, server: Prometheus) -> None:
        self._server = server

    def all(self, panel: str, ref: str = "A") -> list[Sample]:
        return self._server.query(substitute(BY_NAME[panel, ref], end=samples.END), at=samples.END)

    def one(self, panel: str, ref: str = "A") -> float:
        [sample] = self.all(panel, ref)
        return sample.value

    def by(self, label: str, panel: str, ref: str = "A") -> dict[str, float]:
        return {sample.labels[label]: sample.value for sample in self.all(panel, ref)}


@pytest.fixture
def answers(server: Prometheus) -> Answers:
    return Answers(server)


def _cases() -> Iterator[Any]:
    for query in QUERIES:
        yield pytest.param(query, "1h", "2m", id=f"{query.panel}/{query.ref}/1h")


@pytest.mark.parametrize(("query", "length", "interval"), list(_cases()))
def test_every_query_returns_data(
    server: Prometheus, query: Query, length: str, interval: str
) -> None:
    filled = substitute(query.expr, length, interval, samples.END)
    if query.instant:
        values = [sample.value for sample in server.query(filled, at=samples.END)]
    else:
        end, step = str(samples.END), interval
        start = str(samples.END - samples.HOUR)
        answer = server.get("/api/v1/query_range", query=filled, start=start, end=end, step=step)
        values = [float(v) for one in answer["data"]["result"] for _, v in one["values"]]
    assert values
    assert not any(math.isnan(value) or math.isinf(value) for value in values)


def test_totals(answers: Answers) -> None:
    tokens = samples.grown("newapi_tokens_total")
    requests = samples.grown("newapi_requests_total", lambda labels: labels["source"] != "test")
    assert answers.one("Tokens") == pytest.approx(tokens)
    assert answers.one("Requests") == pytest.approx(requests)
    assert answers.one("Cost") == pytest.approx(_net_quota() / 500_000 * 7.3)


def test_changes(answers: Answers) -> None:
    for panel in ("Tokens", "Requests", "Cost"):
        assert answers.one(panel, "B") == pytest.approx(1)


def test_rates(answers: Answers) -> None:
    tokens = samples.grown("newapi_tokens_total") / 60
    assert answers.one("TPM") == pytest.approx(tokens)
    assert answers.one("TPM", "B") == pytest.approx(tokens / 2)
    assert answers.one("RPM", "B") == pytest.approx(answers.one("RPM") / 2)


def test_active(answers: Answers) -> None:
    assert answers.one("Active channels") == samples.CHANNELS
    assert answers.one("Active models") == samples.CHANNELS  # a model has as many channels
    assert answers.one("Active models", "B") == samples.CHANNELS


def test_success_counts_neither_tests_nor_client_errors(answers: Answers) -> None:
    done = samples.grown("newapi_requests_total", lambda labels: labels["source"] != "test")
    failed = samples.grown(
        "newapi_request_errors_total",
        lambda labels: labels["source"] != "test" and labels["category"] != "client",
    )
    assert answers.one("Success rate") == pytest.approx(done / (done + failed))


@pytest.mark.parametrize(
    ("known", "unknown"),
    [
        ('newapi_metric_unavailable{metric="newapi_request_errors_total"}', "newapi_quota_per_usd"),
        ("newapi_error_log_seen", "vector(0)"),
    ],
    ids=["One API", "logging off"],
)
@pytest.mark.parametrize("panel", ["Success rate", "Model health"])
def test_no_success_where_failures_are_unknown(
    server: Prometheus, panel: str, known: str, unknown: str
) -> None:
    expr = BY_NAME[panel, "A"]
    assert known in expr
    assert server.query(substitute(expr), at=samples.END)
    assert not server.query(substitute(expr.replace(known, unknown)), at=samples.END)


def test_model_health(answers: Answers) -> None:
    health = [answers.one("Model health", ref) for ref in "ABCDE"]
    # A model without any success fails; the idle ones are served, the unserved one is not.
    assert health == [samples.CHANNELS - 1, 1, 1, len(samples.IDLE_MODELS), 1]


def test_status(answers: Answers) -> None:
    assert [answers.one("Channels", ref) for ref in "ABC"] == [samples.CHANNELS - 1, 1, 0]
    assert answers.one("Data is behind by") == pytest.approx(20)
    assert answers.one("Breaker") == 2
    assert answers.one("Breaker", "B") == 2


def test_alerts_are_those_for_people(answers: Answers) -> None:
    assert answers.one("Alerts firing") == 2
    firing = answers.by("alertname", "Firing")
    assert set(firing) == {"NewAPITokenUsage", "NewAPIMonitorStale"}
    assert set(firing.values()) == {samples.TRIPPED_AT * 1000}


def test_breaker(answers: Answers) -> None:
    held = {
        (s.labels["kind"], s.labels["id"], s.labels["name"])
        for s in answers.all("Held by the breaker")
    }
    assert held == {("channel", "1", "channel 1"), ("api_key", "99", "?")}
    [done] = answers.all("What the breaker did")
    assert done.labels == {"result": "tripped", "rule": "daily", "target": "1", "name": "channel 1"}
    assert done.value == samples.TRIPPED_AT * 1000


def test_shares_add_up(answers: Answers) -> None:
    top = answers.all("Tokens by channel")
    assert len(top) == 10
    rest = answers.one("Tokens by channel", "B")
    assert sum(s.value for s in top) + rest == pytest.approx(answers.one("Tokens"))


def test_models_add_up(answers: Answers) -> None:
    top = answers.by("model", "Tokens by model")
    assert len(top) == 10
    rest = answers.one("Tokens by model", "B")
    parts = [answers.one("Tokens over time", ref) for ref in "AB"]
    assert sum(top.values()) + rest == pytest.approx(sum(parts))


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.panel}/{query.ref}")
def test_nothing_is_made_up_where_nothing_is_known(server: Prometheus, query: Query) -> None:
    found = server.query(substitute(query.expr), at=samples.START - 3 * samples.HOUR)
    assert [s.value for s in found] == ([0] if query.panel == "Alerts firing" else [])


def test_names(answers: Answers) -> None:
    names = {s.labels["channel_id"]: s.labels["name"] for s in answers.all("Tokens by channel")}
    assert names[samples.DELETED_CHANNEL] == "?"
    assert names[samples.RENAMED_CHANNEL] in {"channel 3", "channel 3 (new)"}
    assert names["5"] == "channel 5"
    [first, *_] = sorted(answers.all("Cost by API key"), key=lambda s: -s.value)
    assert (first.labels["username"], first.labels["name"]) == ("user 12", "key 12")
    assert first.value == pytest.approx(12 * 1000 * 2 * 60 / 500_000 * 7.3)
    assert "user 12" in answers.by("name", "Cost by user")


def test_latency(answers: Answers) -> None:
    # The samples are spread evenly over nine buckets, so that 95 % lies in the last one.
    assert 30 < answers.one("Latency, p95") < 120
    assert 10 < answers.one("Latency, p95", "B") < 30


@pytest.mark.parametrize("length", ["2h", "24h", "30d"])
def test_what_is_left_lasts_at_the_pace_since_counting_began(
    server: Prometheus, length: str
) -> None:
    """Two hours ago: a longer range knows no more."""
    expr = substitute(BY_NAME["API keys that run out first", "A"], length, end=samples.END)
    found = server.query(expr, at=samples.END)
    pace = 1000 * (60 + 120) / 7200
    assert [one.value for one in found] == [pytest.approx(100_000 / pace)] * (samples.KEYS - 1)


def test_currency_is_the_one_shown_now(answers: Answers) -> None:
    [currency] = answers.all("Cost", "currency")
    assert currency.labels == {"currency": "CNY", "unit": "currency:¥"}


def test_no_money_without_a_rate(server: Prometheus) -> None:
    expr = substitute(BY_NAME["Cost", "A"], "6h")
    assert server.query(expr, at=samples.END)
    assert not server.query(expr, at=samples.END + samples.HOUR)


def test_bars_that_adjoin_add_up(server: Prometheus) -> None:
    end, step = samples.END, 600
    answer = server.get(
        "/api/v1/query_range",
        query=substitute(BY_NAME["Tokens over time", "A"], interval=f"{step}s"),
        start=str(end - samples.HOUR + step),
        end=str(end),
        step=str(step),
    )
    [prompt] = answer["data"]["result"]
    total = samples.grown("newapi_tokens_total", lambda labels: labels["direction"] == "prompt")
    assert sum(float(value) for _, value in prompt["values"]) == pytest.approx(total)


def _net_quota() -> float:
    charged, refunded = "newapi_quota_total", "newapi_quota_refunded_total"
    return samples.grown(charged) - samples.grown(refunded)
