"""Asking a chain about contract wallets: over JSON-RPC, or through web3 (SPEC 21.2).

A login service must ask about the account that signs in, so that its endpoint learns it: use a node
of your own, or accept that.
"""

import json
from typing import Any, Final, Literal

import httpx2

from peerstream.identity.address import Address
from peerstream.identity.errors import CallRevertedError
from peerstream.identity.json_text import JsonTextError, read_json

GAS: Final = 500_000
_ANSWER_MAXIMUM: Final = 262_144
_REVERTED: Final = 3  # the code that nodes give a revert, with whatever message
_HEADERS: Final = {"content-type": "application/json", "accept-encoding": "identity"}

Block = Literal["latest", "safe", "finalized"]


class ChainReadError(ConnectionError):
    """The endpoint does not answer, or not as a node does: look at it, or name another one."""


class RpcReader:
    """Reads a chain through one endpoint; every call is one request, bounded in time and size.

    block: which state counts. At ``latest`` a change of owners counts at once.
    """

    def __init__(
        self,
        url: str,
        *,
        block: Block = "latest",
        timeout_s: float = 5.0,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._url = url
        self._block = block
        self._http = httpx2.Client(timeout=timeout_s, trust_env=False, transport=transport)

    def code(self, address: Address) -> bytes:
        """Return the code at an address; raises ChainReadError."""
        return _octets(self._ask("eth_getCode", [str(address), self._block]))

    def call(self, to: Address | None, data: bytes) -> bytes:
        """Return what ``eth_call`` returns; raises CallRevertedError or ChainReadError."""
        request: dict[str, str] = {"data": "0x" + data.hex(), "gas": hex(GAS)}
        if to is not None:
            request["to"] = str(to)
        return _octets(self._ask("eth_call", [request, self._block]))

    def chain_id(self) -> int:
        """Return the id of the chain; raises ChainReadError."""
        answer = self._ask("eth_chainId", [])
        try:
            return int(answer, 16)
        except (TypeError, ValueError) as error:
            raise ChainReadError("the endpoint gives no chain id") from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask(self, method: str, arguments: list[Any]) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": arguments}
        try:
            answer = read_json(self._post(json.dumps(body).encode()))
        except (httpx2.HTTPError, JsonTextError) as error:
            raise ChainReadError(f"{method}: the endpoint does not answer as a node") from error
        if not isinstance(answer, dict):
            raise ChainReadError(f"{method}: the endpoint does not answer as a node")
        failure = answer.get("error")
        if failure is not None:
            raise _failure(method, failure)
        return answer.get("result")

    def _post(self, body: bytes) -> bytes:
        parts, size = [], 0
        with self._http.stream("POST", self._url, content=body, headers=_HEADERS) as response:
            for part in response.iter_bytes():
                size += len(part)
                if size > _ANSWER_MAXIMUM:
                    raise ChainReadError("the endpoint answers with too much")
                parts.append(part)
        return b"".join(parts)


class Web3Reader:
    """Reads a chain through the application's web3, 7.16 to 8: ``Web3Reader(w3.eth)``."""

    def __init__(self, eth: Any, *, block: Block = "latest") -> None:
        self._eth = eth
        self._block = block

    def code(self, address: Address) -> bytes:
        """Return the code at an address; raises ChainReadError."""
        try:
            return bytes(self._eth.get_code(str(address), self._block))
        except Exception as error:  # web3's providers raise what their libraries raise
            raise ChainReadError("web3 does not answer") from error

    def call(self, to: Address | None, data: bytes) -> bytes:
        """Return what ``eth_call`` returns; raises CallRevertedError or ChainReadError."""
        transaction: dict[str, Any] = {"data": "0x" + data.hex(), "gas": GAS}
        if to is not None:
            transaction["to"] = str(to)
        try:
            return bytes(self._eth.call(transaction, self._block))
        except Exception as error:  # as above; a revert is an answer, all else is none
            if _is_revert(error):
                raise CallRevertedError("the call reverted") from error
            raise ChainReadError("web3 does not answer") from error


def _is_revert(error: Exception) -> bool:
    # by name: web3 takes a second to import, and whoever uses this class has it
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"ContractLogicError", "TransactionFailed"})


def _failure(method: str, failure: Any) -> Exception:
    code = failure.get("code") if isinstance(failure, dict) else None
    message = str(failure.get("message", "")) if isinstance(failure, dict) else ""
    if method == "eth_call" and (code == _REVERTED or "revert" in message.lower()):
        return CallRevertedError("the call reverted")
    return ChainReadError(f"{method}: the endpoint refuses")


def _octets(value: Any) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ChainReadError("the endpoint gives no bytes")
    try:
        return bytes.fromhex(value[2:])
    except ValueError as error:
        raise ChainReadError("the endpoint gives no bytes") from error
