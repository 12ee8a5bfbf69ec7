"""JSON-RPC over HTTP to one endpoint: bounded, timed, retried, every failure named (SPEC 8.3).

Nobody's account, name or blinded key is ever sent from here to an endpoint that is not the user's
own: callers ask for whole contracts (decision 0074).
"""

import json
import random
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx2
import trio

from peerstream.identity.json_text import read_json
from peerstream.node.chain.errors import (
    AnswerTooLargeError,
    EndpointBusyError,
    EndpointClosedError,
    EndpointRefusedError,
    EndpointTimeoutError,
    MalformedAnswerError,
)

RESPONSE_MAX: Final = 33_554_432  # logs of 50 000 identities; callers halve the range beyond it
BATCH_MAX: Final = 100  # what public endpoints take
_MESSAGE_MAX: Final = 200
# Nothing compressed: a thousandth of the bytes on the wire would be enough to fill our memory.
_HEADERS: Final = {"content-type": "application/json", "accept-encoding": "identity"}

Request = tuple[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class RpcTiming:
    """timeout_s: for one answer. tries: how often to ask. backoff_s: first pause, then doubled."""

    timeout_s: float = 20.0
    tries: int = 4
    backoff_s: float = 0.25


class ContractRevertedError(EndpointRefusedError):
    """The contract reverted; `data` is what it gave as its reason: a selector and arguments."""

    def __init__(self, message: str, data: bytes) -> None:
        super().__init__(message, 3)
        self.data = data


class RpcClient:
    """One endpoint. `name` is its host and port: the URL may hold a key and is never printed.

    own_node: the user says that it is theirs. transport: in place of sockets.
    """

    def __init__(
        self,
        url: str,
        *,
        own_node: bool = False,
        timing: RpcTiming | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        parts = urlsplit(url)
        self.name = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
        self.own_node = own_node
        self._url = url
        self._timing = timing or RpcTiming()
        # Proxies from the environment would learn what we read. Certificates take 40 ms to load,
        # and http:// needs none: redirections are not followed.
        self._http = httpx2.AsyncClient(
            timeout=None, trust_env=False, transport=transport, verify=parts.scheme != "http"
        )
        # A cookie would mark us, whatever address we come from next.
        self._http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))

    def __repr__(self) -> str:
        return f"<RPC endpoint {self.name}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        with trio.CancelScope(shield=True):
            await self._http.aclose()

    async def call(self, method: str, *params: Any) -> Any:
        """Return the result of one method. Raises EndpointError, as a subclass."""
        (result,) = await self.batch([(method, params)])
        if isinstance(result, EndpointRefusedError):
            raise result
        return result

    async def batch(self, requests: Sequence[Request]) -> list[Any]:
        """Return the results in order; a refused one is its EndpointRefusedError.

        Raises EndpointError, as a subclass, when the endpoint as a whole failed.
        """
        results: list[Any] = []
        for start in range(0, len(requests), BATCH_MAX):
            results += await self._retried(requests[start : start + BATCH_MAX])
        return results

    async def _retried(self, requests: Sequence[Request]) -> list[Any]:
        pause = self._timing.backoff_s
        for _ in range(self._timing.tries - 1):
            try:
                return await self._once(requests)
            except (EndpointClosedError, EndpointBusyError):
                await trio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries
                pause *= 2
        return await self._once(requests)

    async def _once(self, requests: Sequence[Request]) -> list[Any]:
        bodies = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
            for number, (method, params) in enumerate(requests)
        ]
        body = json.dumps(bodies[0] if len(bodies) == 1 else bodies)
        try:
            with trio.fail_after(self._timing.timeout_s):
                answer = await self._post(body)
        except trio.TooSlowError as error:
            raise EndpointTimeoutError(f"{self.name} gave no answer in time") from error
        except httpx2.TransportError as error:
            raise EndpointClosedError(f"{self.name}: {type(error).__name__}") from error
        return _results(self._parse(answer), len(requests), self.name)

    async def _post(self, body: str) -> bytes:
        async with self._http.stream("POST", self._url, content=body, headers=_HEADERS) as response:
            if response.status_code == 429 or response.status_code >= 500:
                raise EndpointBusyError(f"{self.name}: HTTP {response.status_code}")
            return await self._received(response)

    async def _received(self, response: httpx2.Response) -> bytes:
        received = bytearray()
        async with aclosing(response.aiter_raw()) as chunks:
            async for chunk in chunks:
                received += chunk
                if len(received) > RESPONSE_MAX:
                    raise AnswerTooLargeError(f"{self.name} sent more than {RESPONSE_MAX} bytes")
        return bytes(received)

    def _parse(self, body: bytes) -> Any:
        try:
            return read_json(body)
        except ValueError as error:
            raise MalformedAnswerError(f"{self.name} did not answer in JSON") from error


def _results(answer: Any, total: int, name: str) -> list[Any]:
    answers = answer if isinstance(answer, list) else [answer]
    by_id: dict[Any, dict[str, Any]] = {}
    for item in answers:
        if not isinstance(item, dict) or type(item.get("id")) is not int:
            # Endpoints answer a batch that they refuse as a whole with one error without id.
            raise _refusal(item, name)
        by_id[item["id"]] = item
    if set(by_id) != set(range(total)) or len(answers) != total:
        raise MalformedAnswerError(f"{name} did not answer each request once")
    return [_result(by_id[number], name) for number in range(total)]


def _result(item: dict[str, Any], name: str) -> Any:
    if "error" in item and item["error"] is not None:
        refusal = _refusal(item, name)
        if isinstance(refusal, MalformedAnswerError):
            raise refusal
        return refusal
    if "result" not in item:
        raise MalformedAnswerError(f"{name} answered with neither result nor error")
    return item["result"]


def _refusal(item: Any, name: str) -> EndpointRefusedError | MalformedAnswerError:
    error = item.get("error") if isinstance(item, dict) else None
    if not isinstance(error, dict):
        return MalformedAnswerError(f"{name} did not answer in JSON-RPC")
    message = f"{name}: {str(error.get('message'))[:_MESSAGE_MAX]}"
    code = error.get("code")
    data = _revert_data(error.get("data"))
    if data is not None:
        return ContractRevertedError(message, data)
    return EndpointRefusedError(message, code if type(code) is int else 0)


def _revert_data(data: Any) -> bytes | None:
    # Hardhat wraps the bytes in an object.
    text = data.get("data") if isinstance(data, dict) else data
    if not isinstance(text, str) or not text.startswith("0x"):
        return None
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        return None
