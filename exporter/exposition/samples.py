"""The samples of the metrics over the log table as text, in a form that both formats share.

What stands before a value is the same at every scrape, and every point of a backfill.
"""

from collections.abc import Mapping
from itertools import accumulate

from exporter.catalogue import Counter, Histogram
from exporter.totals import Labels, Sums

NOTHING: Mapping[str, str] = {}


def heads(
    metric: Counter | Histogram,
    labels: Labels,
    more: Mapping[str, str] = NOTHING,
    *,
    empty: bool = True,
) -> tuple[str, ...]:
    """Give name and labels of each sample of a series, and a space.

    A histogram has its buckets, then _count, then _sum.

    Args:
        metric: as in the catalogue.
        labels: the series, as its sums have it.
        more: labels that come after its own.
        empty: whether labels stand there that are empty, which to Prometheus is none.
    """
    pairs = [*zip(metric.labels, map(str, labels), strict=True), *more.items()]
    own = "".join(f'{name}="{escaped(text)}",' for name, text in pairs if text or empty)
    alone = own.removesuffix(",")
    if isinstance(metric, Counter):
        return (f"{metric.name}{{{alone}}} ",)
    bounds = (*(str(bound / 1000) for bound in metric.bounds), "+Inf")
    return (
        *(f'{metric.name}_bucket{{{own}le="{bound}"}} ' for bound in bounds),
        f"{metric.name}_count{{{alone}}} ",
        f"{metric.name}_sum{{{alone}}} ",
    )


def values(metric: Counter | Histogram, labels: Labels, sums: Sums) -> tuple[str, ...]:
    """Give what a series shows, in the order of its heads."""
    if isinstance(metric, Counter):
        return (str(sums[metric.name][labels]),)
    counts = sums.get(f"{metric.name}_bucket", {})
    row = (counts.get((*labels, index), 0) for index in range(len(metric.bounds) + 1))
    buckets = [str(seen) for seen in accumulate(row)]
    seconds = sums.get(f"{metric.name}_sum", {}).get(labels, 0) / 1000
    return (*buckets, buckets[-1], repr(seconds))


def series(metric: Counter | Histogram, sums: Sums) -> list[Labels]:
    """Give the series of a metric, in the order in which they began."""
    if isinstance(metric, Counter):
        return list(sums.get(metric.name, ()))
    return list(dict.fromkeys(labels[:-1] for labels in sums.get(f"{metric.name}_bucket", ())))


def escaped(text: str) -> str:
    """Write the value of a label."""
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
