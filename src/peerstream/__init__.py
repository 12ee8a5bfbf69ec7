"""PeerStream: dial any Ethereum address without telling anyone where you are.

`connect` opens a stream and `listen` offers a service; `Node` and `Client` do any number of both.
`peerstream.sync` is for threads, `peerstream.http` for httpx2. docs/python.md shows all of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peerstream.node.library.api.client import Client
    from peerstream.node.library.api.connector import Connector
    from peerstream.node.library.api.errors import (
        BadRequestError,
        DaemonError,
        IdentityNeededError,
        NameNotFoundError,
        PeerStreamError,
        RefusedError,
        StateError,
        StreamBrokenError,
        UnreachableError,
        UnverifiedError,
    )
    from peerstream.node.library.api.identity import create_identity
    from peerstream.node.library.api.node import Node
    from peerstream.node.library.api.shortcuts import connect, listen
    from peerstream.node.library.api.streams import PeerAttribute, PeerInfo, PeerListener, Stream
    from peerstream.node.protocol.wire.status import Status

__version__ = "0.1.0"
__all__ = [
    "BadRequestError",
    "Client",
    "Connector",
    "DaemonError",
    "IdentityNeededError",
    "NameNotFoundError",
    "Node",
    "PeerAttribute",
    "PeerInfo",
    "PeerListener",
    "PeerStreamError",
    "RefusedError",
    "StateError",
    "Status",
    "Stream",
    "StreamBrokenError",
    "UnreachableError",
    "UnverifiedError",
    "__version__",
    "connect",
    "create_identity",
    "listen",
]

_API = "peerstream.node.library.api"
_PLACES = {
    "Client": f"{_API}.client",
    "Connector": f"{_API}.connector",
    "Node": f"{_API}.node",
    "Status": "peerstream.node.protocol.wire.status",
    "connect": f"{_API}.shortcuts",
    "create_identity": f"{_API}.identity",
    "listen": f"{_API}.shortcuts",
    **dict.fromkeys(("PeerAttribute", "PeerInfo", "PeerListener", "Stream"), f"{_API}.streams"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is: libp2p alone takes a second."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES.get(name, f"{_API}.errors")), name)


def __dir__() -> list[str]:
    """List what there is, imported or not."""
    return [*__all__, "http", "identity", "node", "sync"]
