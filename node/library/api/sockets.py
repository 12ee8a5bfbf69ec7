"""Sockets as anyio has them (SPEC 18.5)."""

import socket

from anyio.abc import ByteStream, UNIXSocketStream


async def transport_of(connection: socket.socket) -> ByteStream:
    """Return a connected socket as a stream of the running loop; it is closed where that fails."""
    try:
        return await UNIXSocketStream.from_socket(connection)
    except BaseException:
        connection.close()
        raise
