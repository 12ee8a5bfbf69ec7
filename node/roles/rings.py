"""The ring of each period, frozen once it is known (SPEC 6.7, 10.5)."""

from collections.abc import Mapping

from peerstream.identity.network import NetworkMode
from peerstream.node.config import NetworkParameters
from peerstream.node.ports import SourceSnapshot
from peerstream.node.protocol.directory.relay_set import RelayView
from peerstream.node.protocol.directory.ring import NO_RANDOMNESS, Ring, ring_seed
from peerstream.node.roles.errors import RingUnknownError


class Rings:
    """Makes rings from snapshots and keeps those of a few periods."""

    def __init__(self, network: NetworkParameters) -> None:
        self._network = network
        self._rings: dict[int, Ring] = {}
        self._made_of: dict[int, tuple[int, bytes]] = {}  # epoch and root of each ring's view

    def ring(self, period: int, snapshot: SourceSnapshot) -> Ring:
        """Return the ring of a period. Raises RingUnknownError.

        It is of the first view that is in force in the period and has relays: the one at its
        start, but for the first period of a network. What it was once it stays.
        """
        ring = self._rings.get(period)
        if ring is None:
            seed = ring_seed(
                self._network.network_id, period, self._randomness(period, snapshot.randomness)
            )
            view = self._view(period, snapshot)
            ring = Ring.of_view(view, period, seed, self._network.ring_rules)
            self._rings[period] = ring
            self._rings = {p: r for p, r in self._rings.items() if abs(p - period) <= 2}
            self._made_of = {p: m for p, m in self._made_of.items() if p in self._rings}
            self._made_of[period] = (view.epoch, view.root)
        return ring

    def renew(self, snapshot: SourceSnapshot) -> None:
        """Drop rings whose randomness is another now: a development chain lost its blocks.

        And those of a relay set that was found to have more relays (networks of mode dht).
        """
        for period, randomness in snapshot.randomness.items():
            ring = self._rings.get(period)
            seed = ring_seed(self._network.network_id, period, randomness)
            if ring is not None and ring.seed != seed:
                del self._rings[period]
        views = {view.epoch: view for view in snapshot.views if view.grows}
        for period, (epoch, root) in list(self._made_of.items()):
            if epoch in views and views[epoch].root != root:
                self._rings.pop(period, None)
                del self._made_of[period]

    def _randomness(self, period: int, known: Mapping[int, bytes]) -> bytes:
        if self._network.mode is not NetworkMode.CHAIN:
            return NO_RANDOMNESS
        try:
            return known[period]
        except KeyError:
            raise RingUnknownError(f"the randomness of period {period} is not known") from None

    def _view(self, period: int, snapshot: SourceSnapshot) -> RelayView:
        start = period * self._network.period_s
        end = start + self._network.period_s
        found = [v for v in snapshot.views if len(v) and v.not_before < end and v.not_after > start]
        if not found:
            raise RingUnknownError(f"no relay set of period {period} is known")
        return min(found, key=lambda view: (max(view.not_before, start), -view.epoch))
