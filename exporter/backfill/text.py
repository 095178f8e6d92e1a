"""Cumulative totals over a stretch of time as OpenMetrics text: every series at every point.

Most series stand still most of the time. A sheet of points is therefore written series by series,
each as runs of an unchanged value: the lines of a run differ in nothing but their time, and come
from one replacement in a template of the points.
"""

from collections.abc import Iterable, Mapping
from typing import BinaryIO

from exporter.backfill.grid import MARK, template
from exporter.catalogue import LOG_METRICS
from exporter.exposition.samples import heads, values
from exporter.series import Series, series_of
from exporter.totals import Labels, Sums

Values = tuple[bytes, ...]
"""What the samples of a series show at a moment, in the order of its heads."""

END = b"# EOF\n"


class Sheet:
    """A stretch of points, with all series that exist.

    Args:
        sums: the totals before the first point. It is kept by the caller, and up to date when a
            point is added.
        labels: what Prometheus adds to every series of a scrape: job and instance.
        hidden: names of metrics that are not exposed.
    """

    def __init__(self, sums: Sums, labels: Mapping[str, str], hidden: Iterable[str]) -> None:
        self._sums = sums
        self._labels = labels
        hidden = set(hidden)
        self._metrics = {metric.name: metric for metric in LOG_METRICS if metric.name not in hidden}
        self._heads: dict[Series, tuple[bytes, ...]] = {}
        self._shown: dict[Series, Values] = {}
        self._points: list[float] = []
        self._changes: dict[Series, list[tuple[int, Values]]] = {}
        self.changed = 0
        """Values that are kept until they are written."""
        self.width = 0
        """Samples that each point takes now."""
        for name, labels_ in {series_of(m, key) for m, of in sums.items() for key in of}:
            if name in self._metrics:
                self._shown[name, labels_] = self._values(name, labels_)

    @property
    def pending(self) -> int:
        """Samples that are kept until they are written, at most."""
        return len(self._points) * self.width

    def appear(self, series: Iterable[Series]) -> None:
        """Let series begin at the last point, with 0: what they show next is an increase."""
        for each in series:
            if each[0] in self._metrics and self._points:
                shown = self._values(*each)
                self._changes[each] = [(len(self._points) - 1, shown)]
                self.changed += len(shown)

    def add(self, point: float, changed: Iterable[Series]) -> None:
        """Add a point at which these series have new sums."""
        self._points.append(point)
        index = len(self._points) - 1
        for each in changed:
            if each[0] in self._metrics:
                shown = self._values(*each)
                self._changes.setdefault(each, []).append((index, shown))
                self.changed += len(shown)

    def write(self, file: BinaryIO) -> int:
        """Write all points and begin a new stretch behind them; gives the number of samples."""
        lines, offsets = template(self._points)
        samples = 0
        for series, before in self._heads.items():
            runs = self._changes.get(series, [])
            if series in self._shown and not (runs and runs[0][0] == 0):
                runs = [(0, self._shown[series]), *runs]
            ends = [*(offsets[start] for start, _ in runs[1:]), offsets[-1]]
            spans = [
                (lines[offsets[start] : end], shown)
                for (start, shown), end in zip(runs, ends, strict=True)
            ]
            for column, head in enumerate(before):
                file.writelines(span.replace(MARK, head + shown[column]) for span, shown in spans)
            self._shown[series] = runs[-1][1]
            samples += len(before) * lines.count(MARK, offsets[runs[0][0]])
        self._points, self._changes, self.changed = [], {}, 0
        return samples

    def _values(self, name: str, labels: Labels) -> Values:
        """Give what a series shows by the sums as they are now."""
        metric = self._metrics[name]
        if (name, labels) not in self._heads:
            before = heads(metric, labels, self._labels, empty=False)
            self._heads[name, labels] = tuple(head.encode("utf-8", "replace") for head in before)
            self.width += len(self._heads[name, labels])
        return tuple(value.encode() for value in values(metric, labels, self._sums))
