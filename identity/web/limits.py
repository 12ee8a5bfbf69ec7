"""How much one client may ask (SPEC 21.6)."""

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from peerstream.identity.web.problem import ProblemError

_CLIENTS_MAXIMUM: Final = 65_536  # some 10 MB; the one that was quiet longest is forgotten
_IPV6_NETWORK: Final = 64  # one household, one prefix


@dataclass(frozen=True, slots=True)
class Rate:
    """``burst`` requests at once, and ``per_minute`` in the long run."""

    burst: int
    per_minute: float


class RateLimiter:
    """A token bucket per client, in memory alone: no address is ever stored.

    clock: monotonic seconds. Each process counts for itself.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Count one request; raises ProblemError (429 with Retry-After) for one too many."""
        now, refill = self._clock(), self._rate.per_minute / 60
        with self._lock:
            left, since = self._buckets.pop(client, (float(self._rate.burst), now))
            left = min(self._rate.burst, left + (now - since) * refill)
            allowed = left >= 1
            self._buckets[client] = (left - 1 if allowed else left, now)
            if len(self._buckets) > _CLIENTS_MAXIMUM:
                self._buckets.popitem(last=False)
        if not allowed:
            wait = str(max(1, int((1 - left) / refill) + 1))
            raise ProblemError(429, "too-many-requests", "ask again later", {"Retry-After": wait})

    def __len__(self) -> int:
        return len(self._buckets)


def client_of(host: str | None) -> str:
    """Return what is counted together: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, _IPV6_NETWORK), strict=False))
