"""What a Node and a Client have in common: they connect and listen (SPEC 18.2)."""

from abc import ABC, abstractmethod

from peerstream.node.library.api.dialling import DialRequest, ListenRequest
from peerstream.node.library.api.streams import PeerListener, Stream


class Connector(ABC):
    """Connects to addresses and listens under its own."""

    @property
    @abstractmethod
    def address(self) -> str | None:
        """The address that it speaks for, with its ERC-55 checksum; None without an identity."""

    async def connect(
        self,
        target: str,
        service: str = "",
        *,
        level: int = 2,
        anonymous: bool = False,
        isolation: bytes = b"",
        early: bytes = b"",
    ) -> Stream:
        """Open a stream to a service of an address; return when the service took it.

        target: `0x…`, a contact card `psp:0x…?k=…`, `[service.]0x….psp.alt`, and where names are
        looked up `[service.]alias.psp.alt`, `[service.]name.eth`. service: at most 64 bytes; may be
        left out where the target names it. level: 2 hides both sides behind six relays, 1 behind
        three; the stricter side's wish wins, `stream.peer` tells what was reached. anonymous: do
        not say who calls. isolation: at most 255 bytes; streams with another value share no
        session, circuit or descriptor. early: at most 3 072 first bytes, which travel with the call
        where the service takes them and then may reach it twice.

        Raises PeerStreamError: BadRequestError, NameNotFoundError, IdentityNeededError,
        UnreachableError, RefusedError, UnverifiedError, DaemonError.
        """
        request = DialRequest(
            target=target,
            service=service,
            level=level,
            anonymous=anonymous,
            isolation=isolation,
            early=early,
        )
        return await self.open_stream(request)

    async def listen(
        self,
        service: str,
        *,
        level: int | None = None,
        anonymous: bool = False,
        early_data: bool = False,
    ) -> PeerListener:
        """Offer a service under our address; return when callers can reach it.

        level: the least one that callers may use, None for the address' own. anonymous: whether
        callers need not say who they are. early_data: whether the first bytes may come with the
        call, and twice. Close the listener to withdraw the service.

        Raises PeerStreamError: BadRequestError, IdentityNeededError, DaemonError.
        """
        request = ListenRequest(
            service=service, level=level, anonymous=anonymous, early_data=early_data
        )
        return await self.open_listener(request)

    @abstractmethod
    async def open_stream(self, request: DialRequest) -> Stream:
        """Do what `connect` was asked for."""

    @abstractmethod
    async def open_listener(self, request: ListenRequest) -> PeerListener:
        """Do what `listen` was asked for."""
