"""The relay set from a signed file (SPEC 6.10, 10.5)."""

from pathlib import Path
from typing import TYPE_CHECKING

import trio

from peerstream.identity.address import Address
from peerstream.node.config import NetworkParameters
from peerstream.node.ports import SourceError, SourceSnapshot
from peerstream.node.protocol.directory.errors import DirectoryError
from peerstream.node.protocol.directory.static import STATIC_FILE_MAX, SignedStaticFile
from peerstream.node.store.errors import StoreError
from peerstream.node.store.guard_state import load_pin, save_pin

if TYPE_CHECKING:
    from peerstream.node.protocol.directory.relay_set import RelayView


class NoIdentities:
    """Identities of a network without a registry: nobody is listed, nothing is revoked there."""

    def identity_key(self, account: Address) -> bytes | None:  # noqa: ARG002 - the port's signature
        """Return None."""
        return None

    def revoked_before(self, account: Address) -> int:  # noqa: ARG002 - the port's signature
        """Return 0."""
        return 0

    def is_device_revoked(self, account: Address, device_key: bytes) -> bool:  # noqa: ARG002
        """Return False."""
        return False


class StaticFileSource:
    """Reads the file again each time, and refuses one that is older than any seen before.

    pin: where the highest serial is kept. The view of the file before stays for as long as it is in
    force, for those who have not seen the new one yet.
    """

    def __init__(self, path: Path, network: NetworkParameters, pin: Path) -> None:
        self._path = path
        self._network = network
        self._pin = pin
        self._views: dict[int, RelayView] = {}
        self._data = b""
        self._snapshot: SourceSnapshot | None = None

    async def read(self, wall: int) -> SourceSnapshot:
        """Read, verify and pin the file.

        Raises SourceError; its cause is a DirectoryError, a StoreError or an OSError.
        """
        try:
            with self._path.open("rb") as file:
                data = file.read(STATIC_FILE_MAX + 1)
            return self._accept(data, wall)
        except OSError as error:
            raise SourceError(f"{self._path}: {error.strerror}") from error
        except (DirectoryError, StoreError) as error:
            raise SourceError(f"{self._path}: {type(error).__name__}: {error}") from error

    async def news(self) -> None:
        """Wait for ever: the file is read again in its time."""
        await trio.sleep_forever()

    def _accept(self, data: bytes, wall: int) -> SourceSnapshot:
        network = self._network
        signed = SignedStaticFile.decode(data)
        file = signed.verify(
            network.static_signer,
            network.network_id,
            parameters_hash=network.parameters_hash,
            wall=wall,
        )
        pin = load_pin(self._pin)
        pinned = signed.pinned(pin)
        if pinned != pin:
            save_pin(self._pin, pinned)
        if data == self._data and self._snapshot is not None:
            return self._snapshot
        for relay in file.relays:
            for endpoint in relay.endpoints:
                endpoint.require_routable(private=network.private_addresses)
        self._views[file.serial] = signed.view(network.network_id)
        self._views = {s: v for s, v in self._views.items() if s >= pinned.serial - 1}
        endpoints = {relay.entry.relay_id: relay.endpoints for relay in file.relays}
        endpoints |= {relay.relay_id: relay.endpoints for relay in network.bootstrap}
        self._snapshot = SourceSnapshot(
            tuple(self._views.values()),
            NoIdentities(),
            endpoints=endpoints,
            documents={file.serial: data},
        )
        self._data = data
        return self._snapshot
