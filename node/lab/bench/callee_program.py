"""The process of the callee that is measured: its service is a local TCP port, as Tor's is."""

import os
import socket
from functools import partial
from typing import Final

import trio

from peerstream.node.gateway.carrying import carry
from peerstream.node.lab.bench.parties import identity_of, settings_of
from peerstream.node.lab.channel import Channel
from peerstream.node.lab.program import Options, run_program
from peerstream.node.library.clock import SystemClock
from peerstream.node.library.node import ServiceOffer, open_node
from peerstream.node.ports import ByteStream, Environment

SERVICE: Final = "web"  # which port 80 of the front means
_ANONYMOUS: Final = 2


def run(end: socket.socket, options: Options) -> int:
    """Be called. options: as `settings_of` and `identity_of` want them, and target, a port."""
    return run_program(end, options, _main)


async def _main(channel: Channel, options: Options) -> None:
    settings = settings_of(options)
    identity = identity_of(options, settings, Environment(SystemClock(), os.urandom))
    offer = ServiceOffer(partial(_forward, options["target"]))
    async with open_node(settings, identity) as node, trio.open_nursery() as nursery:
        await nursery.start(partial(node.serve, {SERVICE: offer}, level=_ANONYMOUS))
        card = {"account": str(identity.account), "key": identity.identity_key.public.hex()}
        await channel.tell({"event": "published", **card})
        await trio.sleep_forever()


async def _forward(port: int, stream: ByteStream) -> None:
    with trio.socket.socket() as connection:  # to one address: no other is asked for
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await connection.connect(("127.0.0.1", port))
        await carry(connection, stream)
