"""Series over sums: how many there may be, and how a new one first appears.

A histogram keeps several sums a series (its buckets and their total), any other metric one.
"""

from collections.abc import Iterable

from exporter.totals import Labels, Sums, Totals

OTHER = "other"

CLOSED = {
    "newapi_requests_total": 1,
    "newapi_request_errors_total": 2,
    "newapi_tokens_total": 1,
    "newapi_broken_streams_total": 1,
    "newapi_api_key_tokens_total": 1,
    "newapi_user_tokens_total": 1,
    "newapi_rows_adjusted_total": 1,
}
"""How many of a metric's labels, the last ones, have few values by nature; they are never folded,
so that prompt and completion, or the categories of errors, stay apart in `other` too."""

Series = tuple[str, Labels]
"""A metric's name, and label values."""

_BUCKET, _SUM = "_seconds_bucket", "_seconds_sum"


def series_of(metric: str, labels: Labels) -> Series:
    """Give the series that a sum belongs to."""
    if metric.endswith(_BUCKET):
        return metric.removesuffix("_bucket"), labels[:-1]
    if metric.endswith(_SUM):
        return metric.removesuffix("_sum"), labels
    return metric, labels


class Catalogue:
    """The series that exist, and the limit to their number by metric.

    Args:
        sums: what has been counted; every series of it exists.
        limit: series a metric may have, beside those named `other`.
    """

    def __init__(self, sums: Sums, limit: int) -> None:
        self._limit = limit
        self._known: dict[str, set[Labels]] = {}
        for metric, values in sums.items():
            for labels in values:
                name, key = series_of(metric, labels)
                self._known.setdefault(name, set()).add(key)

    def admit(self, delta: Totals) -> tuple[Totals, dict[str, int]]:
        """Fold what would begin a series beyond the limit into one whose labels are `other`.

        Series that exist are never folded, so that sums over all series stay exact.

        Returns:
            What may be counted, and by metric how many additions were folded.
        """
        admitted, folded = Totals(), dict[str, int]()
        room = {name: self._limit - len(known) for name, known in self._known.items()}
        begun: set[Series] = set()
        for metric, values in delta.sums.items():
            for labels, amount in values.items():
                name, key = series = series_of(metric, labels)
                if key not in self._known.get(name, ()) and series not in begun:
                    if room.setdefault(name, self._limit) <= 0:
                        folded[name] = folded.get(name, 0) + 1
                        admitted.add(metric, _folded(name, key, labels), amount)
                        continue
                    room[name] -= 1
                    begun.add(series)
                admitted.add(metric, labels, amount)
        return admitted, folded

    def new(self, delta: Totals) -> set[Series]:
        """Give the series that these sums would begin."""
        found = {series_of(m, labels) for m, values in delta.sums.items() for labels in values}
        return {(name, key) for name, key in found if key not in self._known.get(name, ())}

    def add(self, series: Iterable[Series]) -> None:
        """Note that series exist now."""
        for name, key in series:
            self._known.setdefault(name, set()).add(key)

    def remove(self, series: Iterable[Series]) -> None:
        """Note that series are gone."""
        for name, key in series:
            self._known.get(name, set()).discard(key)

    def counts(self) -> dict[str, int]:
        """Give the number of series by metric."""
        return {name: len(known) for name, known in self._known.items()}


class Hold:
    """New series, which show 0 for a time so that Prometheus sees their first value as growth.

    PromQL takes the first sample of a series for its beginning: what it holds is no increase. A
    series that was shown before, also before a restart, is never held.

    Args:
        seconds: how long; 0 = not at all.
        held: series that had not been shown long enough when the exporter ended.
        now: unix seconds.
    """

    def __init__(self, seconds: float, held: Iterable[Series], now: float) -> None:
        self.seconds = seconds
        self._since = dict.fromkeys(held, now)

    def begin(self, series: Iterable[Series], now: float) -> None:
        """Hold new series from now on."""
        self._since |= dict.fromkeys(series, now)

    def restart(self, now: float) -> None:
        """Begin anew for all: they could not be seen until now."""
        self._since = dict.fromkeys(self._since, now)

    def due(self, now: float) -> list[Series]:
        """Give the series that have shown 0 for long enough."""
        return [series for series, since in self._since.items() if now - since >= self.seconds]

    def release(self, series: Iterable[Series]) -> None:
        """Hold these no longer."""
        for each in series:
            self._since.pop(each, None)

    def shown(self, metric: str, values: dict[Labels, int]) -> dict[Labels, int]:
        """Give the values of a metric's sums as they may be seen."""
        if not self._since:
            return dict(values)
        return {
            labels: 0 if series_of(metric, labels) in self._since else value
            for labels, value in values.items()
        }


def _folded(name: str, key: Labels, labels: Labels) -> Labels:
    """Give a sum's labels with all that has many values named `other`."""
    kept = CLOSED.get(name, 0)
    return tuple(OTHER if index < len(key) - kept else label for index, label in enumerate(labels))
