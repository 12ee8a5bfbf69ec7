"""Sums for a monitor, as Prometheus text (SPEC 17.7). No label says who, where or which."""

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from peerstream.node.http.owner import Daemon

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX: Final = "psp_"
_TOTAL: Final = "_total"
HELP: Final[Mapping[str, str]] = {
    "ready": "1 while the node dials and takes more",
    "uptime_seconds": "since the daemon began",
    "relays": "relays in the view in force",
    "links": "links to neighbours",
    "circuits": "circuits of our own",
    "sessions": "sessions, called and calling",
    "streams": "streams that are open",
    "services": "services that are exposed",
    "resident_bytes": "resident memory",
    "cpu_seconds_total": "processor time, user and system",
    "padding_bytes_total": "padding sent over links to guards",
    "padding_share": "its share of what went over them",
    "faults_total": "what went wrong, all causes together",
    "clock_jumps_total": "times that the clocks moved apart",
}


class _Sums(Collector):
    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def collect(self) -> Iterator[Metric]:
        for name, value in self._daemon.counts().items():
            kind = CounterMetricFamily if name.endswith(_TOTAL) else GaugeMetricFamily
            yield kind(_PREFIX + name.removesuffix(_TOTAL), HELP[name], value=value)


def render(daemon: Daemon) -> bytes:
    """Return the sums of a daemon at this moment."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Sums(daemon))
    return generate_latest(registry)
