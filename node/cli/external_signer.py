"""A signer of its own on this machine, asked by JSON-RPC: `account_signTypedData` (SPEC 22.7)."""

import ipaddress
import json
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from peerstream.identity.json_text import JsonTextError, read_json
from peerstream.identity.signer import TypedData
from peerstream.node.cli.errors import BadArgumentError, ExternalSignerError

RPC: Final = "rpc:"
_UNIX: Final = "unix:"
_PATIENCE_S: Final = 300.0  # a person reads it there
_ANSWER_MAX: Final = 16_384
_SIGNATURE: Final = re.compile(r"0x(?:[0-9a-fA-F]{2}){1,4096}")


@dataclass(frozen=True, slots=True)
class SignerPlace:
    """Where a signer listens: an http URL of this machine, or a socket's path."""

    url: str | None = None
    path: Path | None = None


def parse_signer(text: str) -> SignerPlace:
    """Read `rpc:http://127.0.0.1:PORT` or `rpc:unix:PATH`. Raises BadArgumentError."""
    if not text.startswith(RPC):
        raise BadArgumentError(f"--sign-with {text}: browser, external or rpc:URL")
    place = text.removeprefix(RPC)
    if place.startswith(_UNIX) and place != _UNIX:
        return SignerPlace(path=Path(place.removeprefix(_UNIX)))
    try:
        parts = urlsplit(place)
        fine = parts.scheme == "http" and parts.port and _is_loopback(parts.hostname or "")
    except ValueError:
        fine = False
    if not fine:
        raise BadArgumentError(f"--sign-with {text}: a signer on this machine, with its port")
    return SignerPlace(url=place)


def ask_signer(place: SignerPlace, typed: TypedData) -> bytes:
    """Return the signature of typed data, unverified. Raises ExternalSignerError."""
    params = [typed["message"]["account"], typed]
    request = {"jsonrpc": "2.0", "id": 1, "method": "account_signTypedData", "params": params}
    body = json.dumps(request).encode()
    answer = _ask_http(place.url, body) if place.url is not None else _ask_unix(place.path, body)
    return _read_answer(answer)


def _is_loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def _ask_http(url: str, body: bytes) -> bytes:
    import httpx2  # noqa: PLC0415 - only for this

    headers = {"content-type": "application/json"}
    try:
        # no proxy of the environment may see it, and no redirect may lead it away
        with (
            httpx2.Client(trust_env=False, timeout=_PATIENCE_S) as client,
            client.stream("POST", url, content=body, headers=headers) as response,
        ):
            return _bounded(response.iter_bytes())
    except httpx2.HTTPError as error:
        raise ExternalSignerError(f"{url}: {type(error).__name__}") from error


def _ask_unix(path: Path | None, body: bytes) -> bytes:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.settimeout(_PATIENCE_S)
            stream.connect(str(path))
            stream.sendall(body)
            return _until_whole(stream)
    except OSError as error:
        raise ExternalSignerError(f"{path}: {error.strerror or type(error).__name__}") from error


def _until_whole(stream: socket.socket) -> bytes:
    """Read one object: the signer ends it with a line, and keeps the connection."""
    answer = b""
    while not answer.endswith(b"\n") and len(answer) <= _ANSWER_MAX:
        chunk = stream.recv(4_096)
        if not chunk:
            break
        answer += chunk
    return answer


def _bounded(chunks: Any) -> bytes:
    answer = b""
    for chunk in chunks:
        answer += chunk
        if len(answer) > _ANSWER_MAX:
            break
    return answer


def _read_answer(answer: bytes) -> bytes:
    if len(answer) > _ANSWER_MAX:
        raise ExternalSignerError("its answer is too long")
    try:
        found = read_json(answer)
    except JsonTextError as error:
        raise ExternalSignerError("its answer is no JSON") from error
    if not isinstance(found, dict):
        raise ExternalSignerError("its answer is no JSON-RPC")
    failure, result = found.get("error"), found.get("result")
    if isinstance(failure, dict):
        raise ExternalSignerError(f"it says: {str(failure.get('message'))[:200]}")
    if not isinstance(result, str) or _SIGNATURE.fullmatch(result) is None:
        raise ExternalSignerError("its answer holds no signature")
    return bytes.fromhex(result[2:])
