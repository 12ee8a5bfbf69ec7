"""A relay's onion keys: one an epoch, three at most, gone when their time is over (SPEC 3).

Whoever seizes a relay can open the SETUPs recorded in the last two epochs and none before.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.onion.kem import SEED_SIZE, KemPrivateKey

# The next epoch's key is accepted for the last eighteenth (20 of 360 minutes) of the present one:
# for clients whose clock runs ahead.
_EARLY_DIVISOR: Final = 18


class OnionKeyRing:
    """The keys of epochs e-1, e and e+1, where e = floor(wall / epoch_seconds)."""

    def __init__(self, epoch_seconds: int) -> None:
        if epoch_seconds <= 0:
            raise LocalProtocolError("an epoch must last")
        self._epoch_seconds = epoch_seconds
        self._keys: dict[int, KemPrivateKey] = {}

    def __repr__(self) -> str:
        return f"<OnionKeyRing of epochs {sorted(self._keys)}>"

    def rotate(self, wall: int, entropy: Callable[[int], bytes]) -> bool:
        """Drop keys whose time is over and draw the missing ones of e and e+1.

        Returns whether anything changed: the caller then stores `seeds` again, which is what
        erases old keys from the disk. An epoch that began without a key (first start) gets one
        now; the past one never does, since nobody ever read it.
        """
        now = self._epoch(wall)
        kept = {epoch: key for epoch, key in self._keys.items() if abs(epoch - now) <= 1}
        changed = len(kept) != len(self._keys)
        self._keys = kept
        for epoch in (now, now + 1):
            if epoch not in kept:
                kept[epoch] = self._draw(entropy)
                changed = True
        return changed

    def key(self, epoch: int) -> KemPrivateKey:
        """Return the key to publish for an epoch; LocalProtocolError when it is not e-1..e+1."""
        if epoch not in self._keys:
            raise LocalProtocolError(f"no onion key of epoch {epoch}: rotate first")
        return self._keys[epoch]

    def accepted(self, wall: int) -> Mapping[bytes, KemPrivateKey]:
        """Return by key id what a SETUP may be sealed to now: e-1, e, and e+1 shortly before it."""
        now = self._epoch(wall)
        left = (now + 1) * self._epoch_seconds - wall
        newest = now + 1 if left * _EARLY_DIVISOR <= self._epoch_seconds else now
        return MappingProxyType(
            {
                key.public.key_id: key
                for epoch, key in self._keys.items()
                if now - 1 <= epoch <= newest
            }
        )

    def seeds(self) -> dict[int, bytes]:
        """Return the 32-byte seed of every epoch held: secrets, for the keystore only."""
        return {epoch: key.seed for epoch, key in self._keys.items()}

    def load(self, seeds: Mapping[int, bytes]) -> None:
        """Take seeds back after a restart, then `rotate`; KemError when one has another size."""
        self._keys = {epoch: KemPrivateKey.from_seed(seed) for epoch, seed in seeds.items()}

    def _epoch(self, wall: int) -> int:
        return wall // self._epoch_seconds

    def _draw(self, entropy: Callable[[int], bytes]) -> KemPrivateKey:
        taken = {key.public.key_id for key in self._keys.values()}
        while (key := KemPrivateKey.from_seed(entropy(SEED_SIZE))).public.key_id in taken:
            continue  # 1 in 2^30: two keys with one id could not be told apart
        return key
