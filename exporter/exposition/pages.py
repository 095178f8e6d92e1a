"""The two pages of metrics, put together from their collectors."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector


def page(*collectors: Collector) -> Callable[[str], tuple[bytes, str]]:
    """Make what renders a page of metrics for an Accept header: body and Content-Type."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)

    def render(accept: str) -> tuple[bytes, str]:
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    return render
