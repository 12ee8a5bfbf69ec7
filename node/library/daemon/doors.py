"""The sockets that a daemon listens on: loopback ports and files of its run folder (SPEC 17.2)."""

import secrets
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from peerstream.node.http.guard import TOKEN_BYTES
from peerstream.node.library.daemon.configuration import OFF, Configuration
from peerstream.node.library.daemon.errors import ListenerError
from peerstream.node.store import run_folder
from peerstream.node.store.files import write_whole

_BACKLOG: Final = 128


def bind(place: str) -> socket.socket | None:
    """Return a listening socket on a loopback port, None for `off`. Raises ListenerError."""
    if place == OFF:
        return None
    host, _, port = place.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host.strip("[]"), int(port)))
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        raise ListenerError(f"{place}: {error.strerror}") from error
    return made


def place_of(listener: socket.socket | None) -> str | None:
    """Return where a socket listens, in the words of the configuration; None for nowhere."""
    if listener is None or listener.fileno() < 0:
        return None
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(slots=True)
class Doors:
    """Ports are bound at the start, so that one that is taken is found before anything runs."""

    socks: socket.socket | None
    http: socket.socket | None
    tcp: socket.socket | None
    token: str = field(default="", repr=False)

    @classmethod
    def open(cls, configuration: Configuration) -> Self:
        """Bind all ports of a configuration. Raises ListenerError."""
        gateway = configuration.gateway
        made = cls(None, None, None)
        try:
            made.socks, made.http = bind(gateway.socks), bind(gateway.http)
            made.tcp = bind(configuration.api.tcp)
        except BaseException:
            made.close()
            raise
        return made

    def write_token(self, folder: Path) -> None:
        """Draw the token of this run, where whoever may read the folder finds it."""
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        write_whole(folder / run_folder.TOKEN, self.token.encode())

    def close(self) -> None:
        """Close what still belongs to us."""
        for listener in (self.socks, self.http, self.tcp):
            if listener is not None and listener.fileno() >= 0:
                listener.close()
