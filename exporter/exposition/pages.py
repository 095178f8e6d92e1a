"""The two pages of metrics, put together from their collectors."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

_END = b"# EOF\n"
"""The last line of OpenMetrics."""


def page(
    *collectors: Collector, text: Callable[[], str] = str
) -> Callable[[str], tuple[bytes, str]]:
    """Make what renders a page of metrics for an Accept header: body and Content-Type.

    Args:
        collectors: what is exposed.
        text: gives more families, as text that is right in every format.
    """
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)

    def render(accept: str) -> tuple[bytes, str]:
        encode, content_type = choose_encoder(accept)
        body = encode(registry)
        end = _END if body.endswith(_END) else b""
        return body.removesuffix(end) + text().encode() + end, content_type

    return render
