"""Where a process reads its relay set, by the network's mode (SPEC 10.5)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from peerstream.identity.network import NetworkMode
from peerstream.node.config import NetworkParameters
from peerstream.node.library.errors import NoSourceError
from peerstream.node.network.counters import Counters
from peerstream.node.network.dht_source import DhtSource, Locate, OwnAdmission, open_dht_source
from peerstream.node.network.host import Host, HostOptions
from peerstream.node.ports import Environment, RelaySource, SourceError
from peerstream.node.protocol.directory.admission import ADMISSION_MAX
from peerstream.node.store.state import StateDirectory
from peerstream.node.store.static_source import NoIdentities, StaticFileSource

PIN: Final = "static-pin"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """What a source is read with.

    static_file: the signed relay file of a static network. relay_id: ours, empty for who is no
    relay; admission: the file of a relay's admission in a network of mode dht. host: how the host
    behaves that asks a DHT; counters: where it counts.
    """

    static_file: Path | None = None
    relay_id: bytes = b""
    admission: Path | None = None
    host: HostOptions = field(default_factory=HostOptions)
    counters: Counters = field(default_factory=Counters)


@asynccontextmanager
async def open_source(
    environment: Environment,
    network: NetworkParameters,
    state: StateDirectory,
    settings: SourceSettings,
) -> AsyncIterator[RelaySource]:
    """Return the source of a network.

    Raises NoSourceError; TooFewEndpointsError, SettingRangeError for a chain.
    """
    if network.mode is NetworkMode.STATIC:
        if settings.static_file is None:
            raise NoSourceError("a static network needs its signed relay file: --relay-file")
        pin = state.file(f"{PIN}-{network.network_id.hex()[:16]}")
        yield StaticFileSource(settings.static_file, network, pin)
    elif network.mode is NetworkMode.CHAIN:
        # an HTTP client is megabytes of modules: only a process that reads a chain loads it
        from peerstream.node.chain.source import ChainSource  # noqa: PLC0415

        async with ChainSource(network) as source:
            yield source
    else:
        async with open_dht_source(
            environment,
            network,
            NoIdentities(),
            own=_own(settings),
            options=settings.host,
            counters=settings.counters,
        ) as source:
            yield source


def _own(settings: SourceSettings) -> OwnAdmission | None:
    if not settings.relay_id:
        return None
    path = settings.admission
    if path is None:
        raise NoSourceError("a relay of a dht network needs its admission: --admission")
    return OwnAdmission(settings.relay_id, lambda: _load(path))


def _load(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(ADMISSION_MAX + 1)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error


def join_source(source: RelaySource, locate: Locate, host: Host | None = None) -> None:
    """Give a source of relays that relays carry what it can use.

    ``locate(relay_id)`` says where one listens; on `host`, that of a relay, others may ask.
    """
    if isinstance(source, DhtSource):
        source.know(locate)
        if host is not None:
            source.serve(host)
