"""The process of the caller that is measured, with the front of `psp` as its SOCKS5 port."""

import os
import socket
from collections.abc import Mapping
from typing import Any, Final

import trio

from peerstream.identity.address import Address
from peerstream.node.gateway.dialling import DialOptions
from peerstream.node.gateway.front import FrontSettings, serve_front
from peerstream.node.gateway.names import Destination
from peerstream.node.lab.bench.parties import identity_of, settings_of
from peerstream.node.lab.channel import Channel
from peerstream.node.lab.program import Options, run_program
from peerstream.node.library.assembly import assemble
from peerstream.node.library.clock import SystemClock
from peerstream.node.ports import ByteStream, Environment
from peerstream.node.roles.client import Client
from peerstream.node.roles.dialler import Dialling
from peerstream.node.roles.errors import AddressUnknownError
from peerstream.node.roles.identity import Target
from peerstream.node.roles.pool import SIZE

_POLL_S: Final = 0.02
_FORGET_S: Final = 10.0


def run(end: socket.socket, options: Options) -> int:
    """Call. options: as `settings_of` and `identity_of` want them, and standby.

    standby: whether sessions in use get a second path, as those of `psp` do.
    """
    return run_program(end, options, _main)


async def _main(channel: Channel, options: Options) -> None:
    settings = settings_of(options)
    identity = identity_of(options, settings, Environment(SystemClock(), os.urandom))
    async with assemble(settings) as assembly, trio.open_nursery() as nursery:
        client = Client(assembly.parts, identity)
        caller = _Caller(client)
        # Without `Client.run` its sessions get no second path.
        nursery.start_soon(client.run if options["standby"] else client.dialler.pool.run)
        while client.dialler.pool.ready < SIZE:  # noqa: ASYNC110 - it is filled once, before we begin
            await trio.sleep(_POLL_S)
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(serve_front, listener, caller.dial, FrontSettings())
        port = listener.socket.getsockname()[1]
        await channel.tell({"event": "ready", "port": port})
        while (message := await channel.hear()) is not None:
            await channel.tell(await caller.obey(message))
        await trio.sleep_forever()  # our owner let go of us


class _Caller:
    """Dials for a front. What differs in its user name shares nothing but the node.

    So the first stream of a user name fetches the descriptor and dials anew; all have the relay
    directory, the links and the pool of listeners.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._targets: dict[str, Target] = {}

    async def obey(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Do as the owner says: `know` a card, or `forget` all sessions."""
        if message["do"] == "know":
            account = Address.parse(message["account"])
            self._targets[message["account"]] = Target(account, bytes.fromhex(message["key"]))
            return {"event": "known"}
        with trio.move_on_after(_FORGET_S):
            await self._client.aclose()
        return {"event": "forgotten"}

    async def dial(self, destination: Destination, options: DialOptions) -> ByteStream:
        """Open a stream, as a front asks for it. Raises AddressUnknownError and as `Client`."""
        target = self._targets.get(str(destination.target))
        if target is None:
            raise AddressUnknownError(str(destination.target))
        dialling = Dialling(isolation=options.isolation)
        return await self._client.open_stream(target, destination.service, dialling)
