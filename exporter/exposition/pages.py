"""The two pages of metrics, put together from their collectors."""

from collections.abc import Callable
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

_END = b"# EOF\n"
"""The last line of OpenMetrics."""


class Text(Protocol):
    """Gives families as they stand on a page."""

    def __call__(self, *, openmetrics: bool) -> str:
        """Write them in OpenMetrics, or in the older text format."""


def page(*collectors: Collector, text: Text) -> Callable[[str], tuple[bytes, str]]:
    """Make what renders a page of metrics for an Accept header: body and Content-Type.

    Args:
        collectors: what prometheus-client writes.
        text: writes the rest, which is many samples.
    """
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)

    def render(accept: str) -> tuple[bytes, str]:
        encode, content_type = choose_encoder(accept)
        body = encode(registry)
        end = _END if body.endswith(_END) else b""
        more = text(openmetrics=bool(end)).encode("utf-8", "replace")
        return body.removesuffix(end) + more + end, content_type

    return render
