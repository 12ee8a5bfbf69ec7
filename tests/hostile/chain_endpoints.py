"""JSON-RPC endpoints that lie, hide, stall, break or spy, each around an honest one."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
import trio

from tests.hostile.answers import Pieces, answer

Honest = Callable[[httpx2.Request], httpx2.Response | Awaitable[httpx2.Response]]


def items(body: bytes) -> list[dict[str, Any]]:
    found = json.loads(body)
    return found if isinstance(found, list) else [found]


async def ask(honest: Honest, request: httpx2.Request) -> httpx2.Response:
    response = honest(request)
    return response if isinstance(response, httpx2.Response) else await response


async def body_of(honest: Honest, request: httpx2.Request) -> bytes:
    response = await ask(honest, request)
    return b"".join([piece async for piece in response.stream])


@dataclass
class LyingEndpoint:
    """Answers `method` as `lie(params, honest result)` says."""

    honest: Honest
    method: str
    lie: Callable[[Sequence[Any], Any], Any]

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        asked = {item["id"]: item for item in items(request.content)}
        given = items(await body_of(self.honest, request))
        for item in given:
            question = asked[item["id"]]
            if question["method"] == self.method:
                item["result"] = self.lie(question["params"], item.pop("result", None))
                item.pop("error", None)
        return answer(json.dumps(given if len(given) > 1 else given[0]).encode())


@dataclass
class RefusingEndpoint:
    """Answers a method with a JSON-RPC error, for ever or so many times."""

    honest: Honest
    method: str
    message: str = "the method does not exist"
    times: int = 1_000_000

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        refused = [i["id"] for i in items(request.content) if i["method"] == self.method]
        if not refused or self.times < 1:
            return await ask(self.honest, request)
        self.times -= 1
        given = items(await body_of(self.honest, request))
        for item in given:
            if item["id"] in refused:
                item.pop("result", None)
                item["error"] = {"code": -32601, "message": self.message}
        return answer(json.dumps(given if len(given) > 1 else given[0]).encode())


@dataclass
class HangingEndpoint:
    """Never answers a method; the others it does. All of them without a name."""

    honest: Honest
    method: str | None = None

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if self.method is None or any(i["method"] == self.method for i in items(request.content)):
            await trio.sleep_forever()
        return await ask(self.honest, request)


@dataclass
class DrippingEndpoint:
    """Sends a byte each second, for ever."""

    honest: Honest

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=_Drip())


class _Drip(httpx2.AsyncByteStream):
    async def __aiter__(self):
        while True:
            await trio.sleep(1)
            yield b" "


@dataclass
class BreakingEndpoint:
    """Takes a request, does what it says, and breaks the connection: the first so many times."""

    honest: Honest
    method: str
    times: int = 1

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        response = await ask(self.honest, request)
        if self.times and any(i["method"] == self.method for i in items(request.content)):
            self.times -= 1
            raise httpx2.ReadError("broken", request=request)
        return response


@dataclass
class ClosedEndpoint:
    """Nobody listens."""

    honest: Honest
    asked: int = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        raise httpx2.ConnectError("refused", request=request)


@dataclass
class BusyEndpoint:
    """Answers 429 so many times."""

    honest: Honest
    times: int = 1
    status: int = 429

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if self.times:
            self.times -= 1
            return answer(b"slow down", self.status)
        return await ask(self.honest, request)


@dataclass
class GarbageEndpoint:
    """Answers everything with the same bytes."""

    body: bytes

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        return answer(self.body)


@dataclass
class FloodingEndpoint:
    """Sends more than anybody can hold."""

    piece: bytes = b" " * 1_048_576
    sent: int = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=Pieces(self._pieces()))

    def _pieces(self):
        while True:
            self.sent += len(self.piece)
            yield self.piece


@dataclass
class SpyingEndpoint:
    """Answers honestly, and keeps every byte and header that it saw; marks us with a cookie."""

    honest: Honest
    seen: list[bytes] = field(default_factory=list)
    headers: list[httpx2.Headers] = field(default_factory=list)

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request.content)
        self.headers.append(request.headers)
        body = await body_of(self.honest, request)
        return answer(body, headers=[("set-cookie", "you=17; Max-Age=31536000")])

    def methods(self) -> set[str]:
        return {item["method"] for body in self.seen for item in items(body)}
