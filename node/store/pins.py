"""What only rises, on disk: revisions of records and dates of delegations (SPEC 7.4).

file = magic 8 | SHA-256 of the rest 32 | CBOR {1 network_id, 2 [[account, issued]],
       3 [[blinded, revision, forget at]]}
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from peerstream.identity import canonical
from peerstream.identity.address import Address
from peerstream.identity.errors import EncodingError
from peerstream.node.store.errors import CorruptedFileError, ForeignStateError
from peerstream.node.store.sealed import load_sealed, save_sealed

PINS_MAX: Final = 1_024  # of either kind: who calls more addresses than that loses the oldest
_MAGIC: Final = b"PSPpins1"
_FILE_MAX: Final = 131_072
_U64: Final = 2**64 - 1


class _Revision(NamedTuple):
    revision: int
    forget_at: int


class PinFile:
    """The pins of one network; implements `peerstream.node.ports.PinStore`.

    Every pin is on disk when the call returns. `wall`: the time in unix seconds.
    """

    def __init__(self, path: Path, network_id: bytes, wall: Callable[[], int]) -> None:
        """Read the file, if there is one. Raises StoreError, as a subclass."""
        self._path = path
        self._network_id = network_id
        self._wall = wall
        self._issued: dict[bytes, int] = {}
        self._revisions: dict[bytes, _Revision] = {}
        data = load_sealed(path, _MAGIC, _FILE_MAX)
        if data is not None:
            self._read(data)

    def _read(self, data: bytes) -> None:
        try:
            fields = canonical.decode_fields(data, known=(1, 2, 3), max_size=_FILE_MAX)
            network_id = fields.octets(1, 32)
            issued = [canonical.as_array(row, 2, 2) for row in fields.array(2, 0, PINS_MAX)]
            revisions = [canonical.as_array(row, 3, 3) for row in fields.array(3, 0, PINS_MAX)]
            self._issued = {
                canonical.as_octets(account, 20): canonical.as_integer(at, _U64)
                for account, at in issued
            }
            self._revisions = {
                canonical.as_octets(key, 32): _Revision(
                    canonical.as_integer(revision, _U64), canonical.as_integer(forget_at, _U64)
                )
                for key, revision, forget_at in revisions
            }
        except EncodingError as error:
            raise CorruptedFileError(f"{self._path}: {error}") from error
        if network_id != self._network_id:
            raise ForeignStateError(f"{self._path} holds the pins of another network")

    def newest_issued(self, account: Address) -> int:
        """Return when the newest delegation seen of the account was issued; 0 for none."""
        return self._issued.get(account.raw, 0)

    def pin_issued(self, account: Address, issued: int) -> None:
        """Remember a verified delegation. Raises StateUnavailableError."""
        if issued > self.newest_issued(account):
            self._issued.pop(account.raw, None)  # the last one seen stands last
            while len(self._issued) >= PINS_MAX:
                del self._issued[next(iter(self._issued))]
            self._issued[account.raw] = issued
            self._save()

    def highest_revision(self, blinded: bytes) -> int:
        """Return the highest revision seen, or published, under a blinded key; 0 for none."""
        known = self._revisions.get(blinded)
        return known.revision if known is not None else 0

    def pin_revision(self, blinded: bytes, revision: int, forget_at: int) -> None:
        """Remember a revision until `forget_at`. Raises StateUnavailableError."""
        if revision <= self.highest_revision(blinded):
            return
        wall = self._wall()
        kept = {key: pin for key, pin in self._revisions.items() if pin.forget_at > wall}
        kept.pop(blinded, None)
        while len(kept) >= PINS_MAX:
            del kept[min(kept, key=lambda key: kept[key].forget_at)]
        kept[blinded] = _Revision(revision, forget_at)
        self._revisions = kept
        self._save()

    def _save(self) -> None:
        rows: list[Any] = [[account, issued] for account, issued in self._issued.items()]
        pins: list[Any] = [[key, *pin] for key, pin in self._revisions.items()]
        data = canonical.encode({1: self._network_id, 2: rows, 3: pins})
        save_sealed(self._path, _MAGIC, data)
