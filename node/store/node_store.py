"""What must survive a restart, behind the ports of the roles (SPEC 7.4, 10.1)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from peerstream.identity import canonical
from peerstream.identity.errors import EncodingError
from peerstream.node.protocol.directory.guards import GuardState
from peerstream.node.protocol.onion.kem import SEED_SIZE
from peerstream.node.protocol.onion.replay import ReplayRecord
from peerstream.node.store.errors import CorruptedFileError, StateUnavailableError
from peerstream.node.store.guard_state import load_guards, save_guards
from peerstream.node.store.keystore import Keystore
from peerstream.node.store.pins import PinFile
from peerstream.node.store.replay_log import ReplayLog
from peerstream.node.store.state import StateDirectory

ONION_SEEDS: Final = "relay/onion-seeds"
_SEEDS_MAX: Final = 8
_U63: Final = 2**63 - 1


class NodeStore(PinFile):
    """Guards and pins of one node in one network: `GuardStore` and `PinStore` of the ports."""

    def __init__(self, state: StateDirectory, network_id: bytes, wall: Callable[[], int]) -> None:
        """Open them. `wall`: unix seconds. Raises StoreError, as a subclass."""
        mark = network_id.hex()[:16]
        super().__init__(state.file(f"pins-{mark}"), network_id, wall)
        self._guards = state.file(f"guards-{mark}")

    def load_guards(self) -> GuardState:
        """Return the guards kept, an empty state at first. Raises StoreError, as a subclass."""
        return load_guards(self._guards, self._network_id)

    def save_guards(self, state: GuardState) -> None:
        """Keep the guards; they are on disk when this returns. Raises StateUnavailableError."""
        save_guards(self._guards, state)


class TagStore:
    """Tags of what was opened once, in a folder of its own: `ReplayStore` of the ports."""

    def __init__(self, state: StateDirectory, folder: str, bucket_s: int) -> None:
        self._replays = ReplayLog(state.directory(folder), bucket_s)

    def load_tags(self, wall: int) -> Mapping[int, Iterable[bytes]]:
        """Return the tags of each bucket that still counts. Raises StoreError, as a subclass."""
        return self._replays.load(wall)

    def append_tag(self, record: ReplayRecord) -> None:
        """Keep one tag. Raises ReplayLogFullError, StateUnavailableError."""
        self._replays.append(record)

    def expire_tags(self, wall: int) -> None:
        """Remove the buckets whose time is over. Raises StateUnavailableError."""
        try:
            self._replays.expire(wall)
        except OSError as error:
            raise StateUnavailableError(f"the replay log: {error.strerror}") from error

    def close(self) -> None:
        """Close the files; they stay for the next start."""
        self._replays.close()


class RelayStore(TagStore):
    """Onion keys and replay tags of one relay: `OnionKeyStore` and `ReplayStore` of the ports."""

    def __init__(self, state: StateDirectory, keystore: Keystore, bucket_s: int) -> None:
        super().__init__(state, "replays", bucket_s)
        self._keystore = keystore

    def load_onion_seeds(self) -> Mapping[int, bytes]:
        """Return the seeds by epoch. Raises CorruptedFileError."""
        if ONION_SEEDS not in self._keystore:
            return {}
        try:
            value = canonical.decode(self._keystore.get(ONION_SEEDS), max_size=1_024)
            rows = [canonical.as_array(r, 2, 2) for r in canonical.as_array(value, 0, _SEEDS_MAX)]
            return {
                canonical.as_integer(epoch, _U63): canonical.as_octets(seed, SEED_SIZE)
                for epoch, seed in rows
            }
        except EncodingError as error:
            raise CorruptedFileError(f"secret {ONION_SEEDS}: {error}") from error

    def save_onion_seeds(self, seeds: Mapping[int, bytes]) -> None:
        """Keep these; the file without the others is on disk when this returns.

        Raises StateUnavailableError.
        """
        rows: list[canonical.Value] = [[epoch, seeds[epoch]] for epoch in sorted(seeds)]
        self._keystore.put(ONION_SEEDS, canonical.encode(rows))
