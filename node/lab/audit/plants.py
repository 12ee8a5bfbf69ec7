"""Leaks that are planted on purpose, one in each layer, so that the audit must fail (SPEC 15.5).

Each stands for a mistake that somebody could make in that layer. They are put in from outside, into
processes of a private network that was started to be audited; no code of a node knows of them.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import trio
from libp2p.abc import INetStream
from libp2p.identity.identify.pb.identify_pb2 import Identify

from peerstream.identity.keys import KEY_SIZE
from peerstream.node.chain import source
from peerstream.node.lab import party_program
from peerstream.node.library import assembly
from peerstream.node.network.exchange import read_to_end
from peerstream.node.network.host import Host
from peerstream.node.network.transport import TcpTransport

_IDENTIFY: Final = "/ipfs/id/push/1.0.0"
_IDENTIFY_MAX: Final = 8_192


def plant(plan: Path, name: str) -> None:
    """Plant what the plan names, if anything, in the process of this name."""
    found = json.loads(plan.read_text())
    if found["plant"] is not None:
        PLANTS[found["plant"]](name, found["parties"])


def _identify(name: str, parties: Any) -> None:
    """Have a client tell each relay, by libp2p's identify, which address it is."""

    async def listen(stream: INetStream) -> None:
        await read_to_end(stream, _IDENTIFY_MAX, lambda: ValueError("a long message"))

    def making(real: Any) -> Any:
        def make(self: Host, *arguments: Any) -> None:
            real(self, *arguments)
            self.set_handler(_IDENTIFY, listen)

        return make

    def dialling(real: Any) -> Any:
        async def dial(self: Host, *whom: Any) -> Any:
            connection = await real(self, *whom)
            stream = await self.open_stream(connection, _IDENTIFY)
            said = Identify(agent_version=f"psp {parties['caller']['address']}")
            await stream.write(said.SerializeToString())
            await stream.close()
            return connection

        return dial

    if name == "caller":
        _replace(Host, "dial", dialling)
    elif name.startswith("relay"):
        _replace(Host, "__init__", making)


def _log(name: str, parties: Any) -> None:
    """Have a relay write into its log who connects, and for whom it thinks that is."""

    def serving(real: Any) -> Any:
        async def serve(self: TcpTransport, stream: Any, where: str, maddr: Any) -> None:
            if where == parties["caller"]["ip"]:
                sys.stderr.write(f"client {where} wants {parties['callee']['address']}\n")
                sys.stderr.flush()
            await real(self, stream, where, maddr)

        return serve

    if name.startswith("relay"):
        _replace(TcpTransport, "serve", serving)


def _descriptor(name: str, parties: Any) -> None:
    """Have the callee's wallet sign where it is, which is then published with its grant."""

    def making(real: Any) -> Any:
        return lambda **values: real(**{**values, "label": parties["callee"]["ip"]})

    if name == "callee":
        _replace(party_program, "NewIdentity", making)


def _handshake(name: str, _parties: Any) -> None:
    """Have a client show its device key to its guard, in place of a key drawn for each run."""

    def opening(real: Any) -> Any:
        def open_node(settings: Any, identity: Any) -> Any:
            seed = identity.device.secret().reveal()[:KEY_SIZE]
            _replace(assembly, "Host", lambda host: lambda _drawn, *more: host(seed, *more))
            return real(settings, identity)

        return open_node

    if name == "caller":
        _replace(party_program, "open_node", opening)


def _socket(name: str, parties: Any) -> None:
    """Have a client send its address in clear, on a further connection to each relay it dials."""

    def connecting(real: Any) -> Any:
        async def connect(self: TcpTransport, host: str, port: int) -> trio.SocketStream:
            first = await real(self, host, port)
            await first.send_all(parties["caller"]["address"].encode())
            await first.aclose()
            stream: trio.SocketStream = await real(self, host, port)
            return stream

        return connect

    if name == "caller":
        _replace(TcpTransport, "_connect", connecting)


def _rpc(name: str, parties: Any) -> None:
    """Have a client ask its chain endpoint about the account that it is about to call."""

    def making(real: Any) -> Any:
        class Curious(real):  # type: ignore[misc]  # whatever it is, it is an RpcClient
            """A client that asks too much."""

            async def batch(self, requests: Any) -> Any:
                more = ("eth_getBalance", (parties["callee"]["address"], "latest"))
                _, *results = await super().batch([more, *requests])
                return results

        return Curious

    if name == "caller":
        _replace(source, "RpcClient", making)


def _replace(place: Any, name: str, making: Callable[[Any], Any]) -> None:
    """Put ``making(what was there)`` in its place."""
    setattr(place, name, making(getattr(place, name)))


PLANTS: Final[dict[str, Callable[[str, Any], None]]] = {
    "identify": _identify,
    "log": _log,
    "descriptor": _descriptor,
    "handshake": _handshake,
    "socket": _socket,
    "rpc": _rpc,
}
