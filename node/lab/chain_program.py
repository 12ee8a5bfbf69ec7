"""The process that holds the chain of a private network (SPEC 14.3)."""

import socket
from pathlib import Path

import trio

from peerstream.node.chain.devnet import Devnet
from peerstream.node.lab.channel import Channel
from peerstream.node.lab.program import Options, run_program


def run(end: socket.socket, options: Options) -> int:
    """Run a devnet that stays in the past, with the contracts on it."""
    return run_program(end, options, _main)


async def _main(channel: Channel, options: Options) -> None:
    """options: backend, port, state (a path or None). Tells `ready` with the description."""
    state = None if options["state"] is None else Path(options["state"])
    devnet = await Devnet.start(
        backend=options["backend"], port=options["port"], state=state, past=True
    )
    async with devnet:
        await channel.tell({"event": "ready", "description": devnet.description})
        await trio.sleep_forever()
