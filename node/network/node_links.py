"""The links of one node over its host: what roles see of the network (SPEC 10.2)."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast

from multiaddr import Multiaddr

from peerstream.node.network.errors import ClosedError, DialError, RequestFailedError
from peerstream.node.network.exchange import ServeLimits
from peerstream.node.network.host import Host
from peerstream.node.network.links import LinkStatistics, P2PLinks
from peerstream.node.ports import Answer, LinkOwner, QuestionError, UnreachableError
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.directory.bundle import LENGTH_SIZE, REQUEST_MAX
from peerstream.node.protocol.directory.subnets import Endpoint

if TYPE_CHECKING:
    from peerstream.node.network.carrier import LinkPort

DIRECTORY_PROTOCOL: Final = "/psp/dir/1.0.0"
_SERVE_LIMITS: Final = ServeLimits(request_size=LENGTH_SIZE + REQUEST_MAX)


class NodeLinks:
    """Implements `peerstream.node.ports.Links` for the owner of one host."""

    def __init__(self, host: Host, owner: LinkOwner) -> None:
        self._host = host
        self._links = P2PLinks(host, owner.make_link)
        self._links.on_closed = cast(
            "Callable[[LinkPort, bytes, BaseException], None]", owner.link_closed
        )
        self._links.add_turn_hook(owner.turn)

    @property
    def relay_id(self) -> bytes:
        """Our own host key, 32 bytes."""
        return self._host.relay_id

    @asynccontextmanager
    async def listen(self, endpoints: Sequence[Endpoint] = ()) -> AsyncIterator[None]:
        """Run the host, listening on these; without any it only dials. Raises ListenError.

        Port 0 takes a free one, see `endpoints`; only `Endpoint` itself can hold it.
        """
        async with self._links.listen(_multiaddrs(endpoints)):
            yield

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where we listen."""
        return tuple(Endpoint.parse(str(address)) for address in self._links.addresses)

    async def dial(self, relay_id: bytes, endpoints: Sequence[Endpoint]) -> Link:
        """Return the link to a relay, dialling if there is none. Raises UnreachableError."""
        try:
            link = await self._links.dial(relay_id, _multiaddrs(endpoints))
        except (DialError, ClosedError) as error:
            raise UnreachableError(type(error).__name__) from error
        return cast("Link", link)

    def close(self, link: Link) -> None:
        """End a link of ours; `LinkOwner.link_closed` follows."""
        self._links.close(link)

    async def ask(
        self, relay_id: bytes, endpoints: Sequence[Endpoint], question: bytes, limit: int
    ) -> bytes:
        """Ask a directory question (SPEC 6.13). Raises UnreachableError, QuestionError."""
        addresses = _multiaddrs(endpoints)
        try:
            return await self._links.request(
                relay_id, addresses, DIRECTORY_PROTOCOL, question, limit
            )
        except RequestFailedError as error:
            raise QuestionError(type(error).__name__) from error
        except (DialError, ClosedError) as error:
            raise UnreachableError(type(error).__name__) from error

    def serve(self, answer: Answer) -> None:
        """Answer directory questions: ``await answer(relay_id_of_the_asker, question)``."""
        self._links.serve(DIRECTORY_PROTOCOL, answer, _SERVE_LIMITS)

    def wake(self) -> None:
        """Have the owner's turn called soon, and then everything sent that waits."""
        self._host.shared.batch.request()

    # What a process reports

    def statistics(self) -> list[LinkStatistics]:
        """Return what each link has carried so far."""
        return self._links.statistics()

    def counts(self) -> dict[str, int]:
        """Return what happened at the edge, by cause."""
        return self._host.counters.snapshot()


def _multiaddrs(endpoints: Sequence[Endpoint]) -> list[Multiaddr]:
    return [Multiaddr(str(endpoint)) for endpoint in endpoints]
