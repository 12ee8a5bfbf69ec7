"""HTTP answers of endpoints, as bytes that arrive in pieces."""

from collections.abc import AsyncIterator, Iterable

import httpx2


class Pieces(httpx2.AsyncByteStream):
    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def answer(body: bytes | Iterable[bytes], status: int = 200, headers=()) -> httpx2.Response:
    pieces = (body,) if isinstance(body, bytes) else body
    return httpx2.Response(status, stream=Pieces(pieces), headers=list(headers))
