"""A stream socket alone: what it costs that a node is in another process or thread (SPEC 18.5).

Prints JSON: milliseconds of CPU for each MB, both ends together, under trio and asyncio.

    python bench/stream_socket.py [--megabytes 400]
"""

import argparse
import json
import socket
import time

import anyio
from anyio.abc import UNIXSocketStream

from peerstream.node.library.api.channel import ChannelStream
from peerstream.node.library.api.frames import FrameReader
from peerstream.node.library.api.streams import PeerInfo

PIECE = bytes(65_536)
NOBODY = PeerInfo(None, 2, 6)


async def channel(end: socket.socket) -> ChannelStream:
    transport = await UNIXSocketStream.from_socket(end)
    return ChannelStream(transport, FrameReader(), NOBODY, "bench")


async def carry(pieces: int) -> float:
    """Return the CPU seconds that so many pieces take through a pair of sockets."""
    sender, receiver = [await channel(end) for end in socket.socketpair()]

    async def send() -> None:
        for _ in range(pieces):
            await sender.send(PIECE)
        await sender.send_eof()

    async with anyio.create_task_group() as tasks:
        for end in (sender, receiver):
            tasks.start_soon(end.run)
        began, got = time.process_time(), 0
        tasks.start_soon(send)
        async for data in receiver:
            got += len(data)
        taken = time.process_time() - began
        tasks.cancel_scope.cancel()
    assert got == pieces * len(PIECE)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=400)
    megabytes = parser.parse_args().megabytes
    pieces = megabytes * 1_000_000 // len(PIECE)
    found = {
        backend: round(anyio.run(carry, pieces, backend=backend) / megabytes * 1e3, 2)
        for backend in ("trio", "asyncio")
    }
    print(json.dumps({"megabytes": megabytes, "cpu_ms_per_mb": found}, indent=1))


if __name__ == "__main__":
    main()
