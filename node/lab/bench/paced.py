"""A flow that moves so much a second and no more, one stream after another (SPEC 14.9)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Final

from peerstream.node.lab.bench.meter import MB
from peerstream.node.lab.bench.socks import Place, open_stream, read_exactly
from peerstream.node.lab.bench.target import BLOCK, DONE, NUMBER_SIZE

STREAM_S: Final = 20.0  # so long a stream lasts
_RETRY_S: Final = 1.0


@dataclass(slots=True)
class PacedFlow:
    """Streams through one session. rate: MB/s. moved: bytes so far. fail: is told what broke."""

    place: Place
    rate: float
    upload: bool
    fail: Callable[[str], None]
    over: Event
    moved: int = 0

    def run(self) -> None:
        """Move until it is over. It blocks: run it in a thread."""
        blocks = max(1, int(self.rate * STREAM_S * MB / BLOCK))
        while not self.over.is_set():
            try:
                self._stream(blocks)
            except OSError as error:
                self.fail(f"flow: {error}")
                self.over.wait(_RETRY_S)

    def _stream(self, blocks: int) -> None:
        number = blocks.to_bytes(NUMBER_SIZE, "big")
        with open_stream(self.place) as stream:
            stream.sendall((b"U" if self.upload else b"D") + number)
            began, block = time.monotonic(), bytes(BLOCK)
            for count in range(1, blocks + 1):
                if self.upload:
                    stream.sendall(block)
                else:
                    read_exactly(stream, BLOCK)
                self.moved += BLOCK
                ahead = count * BLOCK / MB / self.rate - (time.monotonic() - began)
                if self.over.wait(max(0.0, ahead)):
                    return
            if self.upload:
                read_exactly(stream, len(DONE))
