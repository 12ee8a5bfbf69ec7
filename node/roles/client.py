"""The calling side of a node: streams to addresses, over sessions that it keeps (SPEC 10.6)."""

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Final

import trio

from peerstream.identity.address import Address
from peerstream.node.ports import Peer, PortError
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.protocol.session.limits import SessionTerms
from peerstream.node.protocol.session.paths import Role
from peerstream.node.protocol.session.session import Session
from peerstream.node.roles.dialler import Dialler, Dialling, Wish
from peerstream.node.roles.errors import RoleError
from peerstream.node.roles.identity import LocalIdentity, Target
from peerstream.node.roles.parts import NodeParts
from peerstream.node.roles.path_keeper import PathKeeper
from peerstream.node.roles.sessions import SessionDriver
from peerstream.node.roles.streams import SessionStream

HOPS: Final = {1: 3, 2: 6}
EARLY_MAX: Final = 3_072  # beside the largest certificates; most callers' leave twice that
COMPARE_AGAIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class _Key:
    """What two streams must have in common to share a session."""

    target: Target
    dialling: Dialling


class Client:
    """Opens streams to addresses. `identity`: who calls; None calls anonymously only."""

    def __init__(self, parts: NodeParts, identity: LocalIdentity | None) -> None:
        self._parts = parts
        self._environment = parts.environment
        self._agenda = parts.neighbours.agenda
        self.dialler = Dialler(parts, identity)
        self._sessions: dict[_Key, SessionDriver] = {}
        self._locks: defaultdict[_Key, trio.Lock] = defaultdict(trio.Lock)
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Keep listeners ready and sessions going, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self.dialler.pool.run)
            await self._compare_directories()

    async def _compare_directories(self) -> None:
        """Find out, once an epoch, whether we were shown the descriptors that others have."""
        keeper, clock = self._parts.keeper, self._environment.clock
        epoch_s = self._parts.network.epoch_s
        while True:
            try:
                await keeper.compare_directory_hash(self.dialler.lookups.fetch)
            except (RoleError, ProtocolError, PortError) as error:
                keeper.count(error)
                await trio.sleep(COMPARE_AGAIN_S)
                continue
            await trio.sleep(epoch_s - clock.wall() % epoch_s)

    async def resolve(self, account: Address) -> Target:
        """Return how to dial a listed account. Raises AddressUnknownError."""
        return Target(account, await self.dialler.lookups.identity_key(account))

    async def look_up(self, target: Target, dialling: Dialling | None = None) -> int:
        """Fetch a descriptor and return when it ends, in unix seconds. Raises as `Dialler.dial`."""
        return await self.dialler.look_up(target, dialling or Dialling())

    async def open_stream(
        self, target: Target, service: str, dialling: Dialling, early: bytes = b""
    ) -> SessionStream:
        """Open a stream to a service of an address; dials when there is no session to it.

        `early`: its first bytes, at most EARLY_MAX. Where the service takes them they travel with
        the call and save a round trip; whoever recorded the call may replay them to a callee that
        forgot it, so they must be fit to be read twice. Raises as `Dialler.dial`.
        """
        key, taken = _Key(target, dialling), False
        async with self._locks[key]:
            driver = self._sessions.get(key)
            if driver is None or not driver.alive:
                wish = Wish(target, service, dialling, early=early)
                driver, stream, taken = await self._dial(wish)
                self._sessions[key] = driver
                driver.on_closed = lambda: self._forget(key)
                if stream is not None:
                    return stream
        stream = driver.open_stream(service)
        if taken:
            stream.note_accepted()
        if early:
            await stream.send(early)
        return stream

    @property
    def sessions(self) -> list[SessionDriver]:
        """The sessions that are open."""
        return list(self._sessions.values())

    @property
    def ways(self) -> list[tuple[bytes, ...]]:
        """The relay_ids that carry each session, as `SessionDriver.ways`."""
        return [way for driver in self._sessions.values() for way in driver.ways]

    @property
    def datagrams_dropped(self) -> int:
        """How many datagrams the open sessions dropped: of no stream, or too many to keep."""
        return sum(driver.datagrams.dropped for driver in self._sessions.values())

    def _forget(self, key: _Key) -> None:
        self._sessions.pop(key, None)
        if not self._locks[key].locked():
            del self._locks[key]

    async def dial(self, target: Target, service: str, dialling: Dialling) -> SessionDriver:
        """Call an address and return a session of its own. Raises as `Dialler.dial`."""
        driver, _, _ = await self._dial(Wish(target, service, dialling))
        return driver

    async def _dial(self, wish: Wish) -> tuple[SessionDriver, SessionStream | None, bool]:
        """Return a new session, and its first stream if the callee took what we sent early.

        Also whether the callee said that it takes a stream to the service.
        """
        if len(wish.early) > EARLY_MAX:
            raise ValueError(f"at most {EARLY_MAX} bytes travel with a call")
        dialled = await self.dialler.dial(wish)
        level, answer = dialled.level, dialled.accepted.answer
        session = Session(
            Role.CALLER,
            dialled.accepted.secrets,
            SessionTerms(level, peer_window=answer.stream_window),
            now=self._environment.clock.now(),
            entropy=self._environment.entropy,
        )
        peer = Peer(wish.target.account, level, HOPS[level])
        driver = SessionDriver(session, peer, self._agenda, self._environment.clock)
        stream = None
        if answer.early_accepted:
            stream = driver.early_stream(wish.service, len(wish.early), answer.early_response)
        driver.attach(0, dialled.circuit, level)
        if self._nursery is not None:
            wish = replace(wish, service="", early=b"")
            keeper = PathKeeper(driver, wish, self.dialler, self._environment.clock)
            self._nursery.start_soon(keeper.run)
        return driver, stream, answer.takes_stream

    async def aclose(self) -> None:
        """End every session; what was sent before still arrives."""
        async with trio.open_nursery() as nursery:
            for driver in list(self._sessions.values()):
                nursery.start_soon(driver.aclose)
