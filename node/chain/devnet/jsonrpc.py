"""JSON-RPC 2.0 over bytes: hostile input in, always a well-formed answer out (SPEC 8.7)."""

import json
import sys
from collections.abc import Sequence
from typing import Any, Final, Protocol

from peerstream.identity.json_text import read_json
from peerstream.node.chain.devnet import values
from peerstream.node.chain.devnet.errors import (
    BadParametersError,
    CallFailedError,
    DevnetError,
    MethodNotFoundError,
)

BATCH_MAX: Final = 1_000
_PARSE_ERROR: Final = -32_700
_INVALID_REQUEST: Final = -32_600
_METHOD_NOT_FOUND: Final = -32_601
_INVALID_PARAMS: Final = -32_602
_INTERNAL_ERROR: Final = -32_603
_SERVER_ERROR: Final = -32_000
_REVERTED: Final = 3  # as geth; `data` then holds what the contract gave as its reason
_SHOWN: Final = 64
Json = dict[str, Any]


class Callable(Protocol):
    """What answers methods."""

    def call(self, method: str, params: Sequence[Any]) -> Any:
        """Run one method. Raises DevnetError."""


def answer(body: bytes, methods: Callable) -> bytes:
    """Return the response to a request or a batch of them."""
    try:
        request = read_json(body)
    except ValueError:
        return _encode(_error(None, _PARSE_ERROR, "the body is no JSON"))
    if not isinstance(request, list):
        return _encode(_answer_one(request, methods))
    if not 0 < len(request) <= BATCH_MAX:
        return _encode(_error(None, _INVALID_REQUEST, f"a batch has 1 to {BATCH_MAX} requests"))
    return _encode([_answer_one(item, methods) for item in request])


def _encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _answer_one(request: object, methods: Callable) -> Json:
    if not isinstance(request, dict):
        return _error(None, _INVALID_REQUEST, "a request is an object")
    number = request.get("id")
    if not isinstance(number, int | str | None):
        return _error(None, _INVALID_REQUEST, "an id is a number or text")
    method, params = request.get("method"), request.get("params", [])
    if not isinstance(method, str) or not isinstance(params, list):
        return _error(number, _INVALID_REQUEST, "method is text, params is a list")
    try:
        result = methods.call(method, params)
    except DevnetError as error:
        return _refusal(number, error)
    except Exception as error:  # noqa: BLE001  # supervisor: one request, not the devnet
        # py-evm raises dozens of classes; none of them may end the devnet for the next request.
        sys.stderr.write(f"devnet: {method[:_SHOWN]}: {type(error).__name__}: {error}\n")
        return _error(number, _INTERNAL_ERROR, type(error).__name__)
    return {"jsonrpc": "2.0", "id": number, "result": result}


def _refusal(number: Any, error: DevnetError) -> Json:
    if isinstance(error, CallFailedError):
        return _error(number, _REVERTED, str(error), values.octets(error.output))
    codes = {MethodNotFoundError: _METHOD_NOT_FOUND, BadParametersError: _INVALID_PARAMS}
    return _error(number, codes.get(type(error), _SERVER_ERROR), str(error))


def _error(number: Any, code: int, message: str, data: str | None = None) -> Json:
    error: Json = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": number, "error": error}
