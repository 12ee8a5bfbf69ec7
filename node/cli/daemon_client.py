"""Asks the daemon of a state directory by its socket (SPEC 17.7).

With h11 alone: `psp status` shall answer sooner than an HTTP client is imported.
"""

import json
import socket
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import h11

from peerstream.node.cli.errors import DaemonAnswerError, DaemonRefusedError
from peerstream.node.store.errors import DaemonNotRunningError
from peerstream.node.store.run_folder import API_SOCKET, RUN, connect

ANSWER_MAX: Final = 4_194_304
PATIENCE_S: Final = 10.0
# Where the errors are that a daemon may refuse with; imported when one does.
_ERRORS: Final = (
    "peerstream.node.store.errors",
    "peerstream.node.library.identities",
    "peerstream.node.library.daemon.errors",
    "peerstream.node.gateway.errors",
    "peerstream.identity.errors",
)
_PIECE: Final = 65_536


class DaemonClient:
    """Talks to one daemon. Made where it runs: `find` says None elsewhere."""

    def __init__(self, state: Path) -> None:
        self._folder = state / RUN

    @classmethod
    def find(cls, state: Path) -> "DaemonClient | None":
        """Return a client if a daemon runs in the state directory. Raises StoreError."""
        client = cls(state)
        try:
            client._connect().close()
        except DaemonNotRunningError:
            return None
        return client

    def get(self, path: str) -> dict[str, Any]:
        """Return what the daemon says. Raises as `ask`."""
        return self.ask("GET", path)

    def ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> dict[str, Any]:
        """Return the answer to a request.

        Raises DaemonNotRunningError, DaemonRefusedError or the error that the daemon names,
        DaemonAnswerError.
        """
        data = b"" if body is None else json.dumps(body).encode()
        with self._connect() as connection:
            connection.settimeout(patience_s)
            try:
                status, answer = _exchange(connection, method, path, data)
            except (OSError, h11.RemoteProtocolError) as error:
                raise DaemonAnswerError(type(error).__name__) from error
        found = _read(answer)
        if status >= 400:
            raise _refusal(found)
        return found

    def _connect(self) -> socket.socket:
        return connect(self._folder, API_SOCKET)


def _exchange(connection: socket.socket, method: str, path: str, data: bytes) -> tuple[int, bytes]:
    """Ask and return status and body."""
    machine = h11.Connection(h11.CLIENT)
    headers = [("host", "localhost"), ("connection", "close")]
    if data:
        headers += [("content-type", "application/json"), ("content-length", str(len(data)))]
    question = machine.send(h11.Request(method=method, target=path, headers=headers))
    connection.sendall((question or b"") + (machine.send(h11.Data(data)) or b""))
    machine.send(h11.EndOfMessage())
    status, body = 0, bytearray()
    while not isinstance(event := machine.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            machine.receive_data(connection.recv(_PIECE))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > ANSWER_MAX:
                raise DaemonAnswerError("more than any answer")
    return status, bytes(body)


def _read(answer: bytes) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise DaemonAnswerError("no JSON object")
    return found


def _refusal(found: dict[str, Any]) -> Exception:
    """Return the error that a refusal names, if it is one that we know."""
    code, detail = str(found.get("code")), str(found.get("detail"))
    name = "".join(word.capitalize() for word in code.split("-")) + "Error"
    for place in _ERRORS:
        kind = getattr(import_module(place), name, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            return kind(detail)
    return DaemonRefusedError(f"{code}: {detail}")
