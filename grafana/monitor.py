"""The monitor itself: how fresh, how complete and how loaded it is."""

from grafana_foundation_sdk.builders import bargauge, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.common import BigValueTextMode
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana import headline, style, words
from grafana.dashboard import add, frame
from grafana.language import Language, Say
from grafana.metrics import COUNTING_SINCE
from grafana.panels import Card, bars, lines, numbers, ranking
from grafana.queries import now, over_time
from grafana.style import BAD, GOOD, IDLE, WARNING
from grafana.tables import Column, comparison

NAME = "monitor"


def build(language: Language) -> Dashboard:
    """Make the dashboard in a language."""
    say = language.say
    about = "How fresh, how complete and how loaded the monitor is."
    board = frame(NAME, language, "Monitor itself", about)
    add(board, headline.age(say, width=4), _lag(say), _complete(say), _rules(say), _since(say),
        _version(say))  # fmt: skip
    add(board, _targets(say), _unavailable(say))
    add(board, _behind(say), _reading(say), row=say("Reading the log table"))
    add(board, _rows(say), _failures(say))
    add(board, _series(say), _folded(say), _adjusted(say), row=say("Series and oddities"))
    return add(board, _scrapes(say), _breaker(say), _delivery(say), row=say("The other parts"))


def _lag(say: Say) -> stat.Panel:
    about = "Log ids yet to be read. It is 0 but for moments."
    card = Card(say("Rows to read"), say(about), width=4, height=4, unit="short")
    panel = numbers(card, now("max(newapi_exporter_lag_rows)", say("Rows"))).decimals(0)
    limits = style.thresholds(GOOD, (10_000, WARNING), (1_000_000, BAD))
    return panel.color_scheme(style.by_threshold()).thresholds(limits)


def _complete(say: Say) -> stat.Panel:
    about = (
        "Whether the sums of today, and the windows of all rules, hold everything since they "
        "begin. After a start the past is read first."
    )
    card = Card(say("Complete"), say(about), width=5, height=4, unit="percentunit")
    panel = numbers(
        card,
        now("min(newapi_today_complete)", say("Today")),
        now("min(newapi_alert_rule_window_filled_ratio)", say("Windows")),
    )
    limits = style.thresholds(WARNING, (1, GOOD))
    return panel.decimals(0).color_scheme(style.by_threshold()).thresholds(limits)


def _rules(say: Say) -> stat.Panel:
    about = "Whether alerts.yml was read without a mistake; the last good rules are in force."
    card = Card(say("Rules file"), say(about), width=5, height=4, unit="none")
    texts = {"0": (say("Has a mistake"), BAD), "1": (say("Good"), GOOD)}
    good = "min(newapi_alert_rules_last_reload_successful)"
    panel = numbers(
        card, now(good, say("File")), now("max(newapi_alert_rules)", say("Rules in force"))
    )
    mapped = DynamicConfigValue("mappings", [style.words(texts)])
    coloured = DynamicConfigValue("color", {"mode": "thresholds"})
    return panel.override_by_name(say("File"), [mapped, coloured])


def _since(say: Say) -> stat.Panel:
    about = (
        "When counting began, for certain without a gap: it changes where the exporter's state was "
        "lost, and where rows were deleted before they could be counted."
    )
    card = Card(say("Counting since"), say(about), width=3, height=4, unit="dateTimeFromNow")
    return numbers(card, now(f"max({COUNTING_SINCE}) * 1000", say("Counting since")))


def _version(say: Say) -> stat.Panel:
    about = "The exporter's version; two while one of two exporters is being upgraded."
    card = Card(say("Version"), say(about), width=3, height=4, unit="none")
    panel = numbers(card, now("max by (version) (newapi_exporter_build_info)", "{{version}}"))
    return panel.text_mode(BigValueTextMode.NAME)


def _targets(say: Say) -> table.Panel:
    about = (
        "The programs that Prometheus reads, and what the gateway is set to. ERROR_LOG_ENABLED is "
        "in no table: it is on where a failure was seen."
    )
    card = Card(say("Programs and options"), say(about), width=12, height=8, unit="none")
    states = {
        "0": (say("Off"), IDLE),
        "1": (say("On"), GOOD),
        "2": (say("Down"), BAD),
        "3": (say("Up"), GOOD),
        "4": (say("Not seen"), IDLE),
        "5": (say("On"), GOOD),
    }
    up = 'label_replace(max by (job, instance) (up{job=~"newapi.*"}), "name", "$1", "job", "(.+)")'
    option = 'label_replace(newapi_option_enabled{job="newapi"}, "name", "$1", "option", "(.+)")'
    seen = 'label_replace(max(newapi_error_log_seen), "name", "ERROR_LOG_ENABLED", "", "")'
    keys = [Column(say("Name"), "name"), Column(say("Address"), "instance")]
    shown = f"max by (name, instance) ({up} + 2 or max by (name) ({option}) or {seen} + 4)"
    return comparison(card, keys, [Column(say("State"), shown, "none", style.as_word(states, 100))])


def _unavailable(say: Say) -> table.Panel:
    about = "What this gateway cannot tell, and why."
    card = Card(say("Not available"), say(about), width=12, height=8, unit="string",
                nothing=say("Everything is available"))  # fmt: skip
    texts = [style.words(words.plain(say, words.UNAVAILABLE))]
    column = style.pattern(words.MISSING_COLUMN[0], say(words.MISSING_COLUMN[1]))
    reason = [DynamicConfigValue("mappings", [*texts, column])]
    keys = [Column(say("Metric"), "metric"), Column(say("Reason"), "reason", "", reason)]
    expr = "max by (metric, reason) (newapi_metric_unavailable)"
    return comparison(card, keys, [Column(say("Count"), expr)], hidden=("Value",))


def _behind(say: Say) -> timeseries.Panel:
    about = "How far the counted data is behind the present."
    card = Card(say("Data was behind by"), say(about), width=12, height=8, unit="s")
    return lines(card, over_time("max by (instance) (newapi_exporter_lag_seconds)", "{{instance}}"))


def _reading(say: Say) -> timeseries.Panel:
    about = "How long the last reading took; the database's time is most of it."
    card = Card(say("Duration of a reading"), say(about), width=12, height=8, unit="s")
    expr = "max by (instance) (newapi_exporter_poll_duration_seconds)"
    return lines(card, over_time(expr, "{{instance}}"))


def _rows(say: Say) -> timeseries.Panel:
    about = "Log rows read a second."
    card = Card(say("Rows a second"), say(about), width=12, height=8, unit="short")
    expr = "sum by (instance) (rate(newapi_exporter_rows_read_total[$__rate_interval]))"
    return lines(card, over_time(expr, "{{instance}}"))


def _failures(say: Say) -> timeseries.Panel:
    about = "What went wrong in the exporter, by kind; the log says more."
    card = Card(say("Failures of the exporter"), say(about), width=12, height=8, unit="short",
                nothing=say("None"))  # fmt: skip
    expr = "sum by (kind) (increase(newapi_exporter_errors_total[$__interval])) > 0"
    panel = bars(card, over_time(expr, "{{kind}}"))
    for kind, text in words.FAILURES.items():
        panel = panel.override_by_name(kind, [style.show_as(say(text))])
    return panel


def _series(say: Say) -> bargauge.Panel:
    about = "Series over the log table, the 12 metrics that have most."
    card = Card(say("Series"), say(about), width=10, height=11, unit="short")
    expr = "topk(12, max by (metric) (newapi_exporter_series))"
    return ranking(card, now(expr, "{{metric}}"))


def _folded(say: Say) -> table.Panel:
    about = (
        "Metrics that reached their limit of series: what is new since goes into one series named "
        "other. Sums stay exact."
    )
    card = Card(say("Beyond the limit"), say(about), width=7, height=11, unit="short",
                nothing=say("No metric reached its limit"))  # fmt: skip
    keys = [Column(say("Metric"), "metric")]
    expr = "max by (metric) (newapi_exporter_series_folded_total) > 0"
    return comparison(card, keys, [Column(say("Additions"), expr)])


def _adjusted(say: Say) -> table.Panel:
    about = "Values of log rows that could not be counted as they stood, and why."
    card = Card(say("Odd values"), say(about), width=7, height=11, unit="short",
                nothing=say("None"))  # fmt: skip
    reasons = words.plain(say, words.ADJUSTED)
    keys = [Column(say("Reason"), "reason", "", style.as_word(reasons, 230))]
    expr = "max by (reason) (newapi_rows_adjusted_total) > 0"
    return comparison(card, keys, [Column(say("Values"), expr)])


def _scrapes(say: Say) -> timeseries.Panel:
    about = "How long Prometheus takes to read each program."
    card = Card(say("Duration of a scrape"), say(about), width=8, height=8, unit="s")
    expr = 'max by (job) (scrape_duration_seconds{job=~"newapi.*"})'
    return lines(card, over_time(expr, "{{job}}"))


def _breaker(say: Say) -> timeseries.Panel:
    about = "From the start of the work on an alert that asks for action to its record: p95."
    card = Card(say("Decisions of the breaker, p95"), say(about), width=8, height=8, unit="s",
                nothing=say("It was not asked to act"))  # fmt: skip
    buckets = "newapi_breaker_decision_duration_seconds_bucket"
    expr = f"histogram_quantile(0.95, sum by (le) (increase({buckets}[$__rate_interval])))"
    return lines(card, over_time(f"{expr} >= 0", say("p95")))


def _delivery(say: Say) -> stat.Panel:
    about = "Notices of the breaker that Alertmanager has not taken yet."
    card = Card(say("Notices waiting"), say(about), width=8, height=8, unit="none")
    panel = numbers(card, now("max(newapi_breaker_notices_waiting)", say("Notices")))
    return panel.color_scheme(style.by_threshold()).thresholds(style.thresholds(GOOD, (1, WARNING)))
