"""How often a node looks after its directory, from the lengths of its network (SPEC 10.5)."""

from dataclasses import dataclass
from typing import Final, Self

from peerstream.node.config import NetworkParameters
from peerstream.node.ports import Entropy

PUBLISH_EARLY: Final = 6  # descriptors of an epoch appear in the last sixth of the one before ...
PUBLISH_LATE: Final = 12  # ... and are all there by its last twelfth
_U32: Final = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds between rounds: reading the source, fetching, and the first tries of either."""

    epoch_s: int
    read_s: float
    read_again_s: float
    round_s: float
    first_s: float
    ahead_s: float  # so long before an epoch its descriptors are fetched

    @classmethod
    def of(cls, network: NetworkParameters, *, gossips: bool) -> Self:
        """Return the pace of a relay (`gossips`) or a client.

        Relays ask one other every 120th of an epoch: 5 s in a devnet, 3 minutes in the main
        network, where a round costs 1.6 MB for 1 000 relays; clients every twelfth.
        """
        return cls(
            epoch_s=network.epoch_s,
            read_s=min(600.0, network.epoch_s / 10),
            read_again_s=min(15.0, network.epoch_s / 40),
            round_s=network.epoch_s / (120 if gossips else 12),
            first_s=0.25,
            ahead_s=network.epoch_s / (PUBLISH_EARLY if gossips else PUBLISH_LATE),
        )

    def epochs(self, wall: int) -> tuple[int, ...]:
        """Return the key epochs whose descriptors are wanted at that unix second."""
        epoch, into = divmod(wall, self.epoch_s)
        return (epoch, epoch + 1) if into >= self.epoch_s - self.ahead_s else (epoch,)


def varied(seconds: float, entropy: Entropy) -> float:
    """Return 75 to 125 % of it, so that nodes that started together do not stay together."""
    return seconds * (0.75 + int.from_bytes(entropy(4), "big") / _U32 / 2)


def drawn_between(low: float, high: float, entropy: Entropy) -> float:
    """Return a uniform number of seconds between the two."""
    return low + (high - low) * int.from_bytes(entropy(4), "big") / _U32
