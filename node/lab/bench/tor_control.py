"""What we ask of a node of Tor through its control port (control-spec)."""

import re
from collections.abc import Iterable
from typing import Final

import trio

_PIECE: Final = 65_536
_RETRY_S: Final = 0.1
_UPLOADED: Final = re.compile(rb"^650 HS_DESC UPLOADED (\w+) ", re.MULTILINE)


async def wait_for_uploads(port: int, services: Iterable[str]) -> None:
    """Return once each of these onion services (without .onion) was published somewhere.

    Call it before they are: what was published earlier is not told again.
    """
    left = set(services)
    stream = await _connect(port)
    async with stream:
        await stream.send_all(b"AUTHENTICATE\r\nSETEVENTS HS_DESC\r\n")
        text = b""
        while left:
            part = await stream.receive_some(_PIECE)
            if not part:
                raise ConnectionError("the control port was closed")
            whole, _, text = (text + part).rpartition(b"\n")
            left -= _names(whole)


def _names(text: bytes) -> set[str]:
    return {name.decode() for name in _UPLOADED.findall(text)}


async def _connect(port: int) -> trio.SocketStream:
    """Connect as soon as it listens; the caller bounds the time."""
    while True:
        try:
            return await trio.open_tcp_stream("127.0.0.1", port)
        except OSError:
            await trio.sleep(_RETRY_S)
