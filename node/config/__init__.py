"""The parameters of a network, from one file (SPEC 7).

`constants` are hashed and bound to the network; `trust` says where the relay set comes from and
gives the network its id; `start` is for this machine: RPC endpoints and first relays.
"""

from peerstream.node.config.constants import NetworkConstants
from peerstream.node.config.errors import NetworkFileError
from peerstream.node.config.files import committed_constants, load_network, parse_network
from peerstream.node.config.parameters import (
    Bootstrap,
    NetworkParameters,
    RpcEndpoint,
    TrustedRoot,
)

__all__ = [
    "Bootstrap",
    "NetworkConstants",
    "NetworkFileError",
    "NetworkParameters",
    "RpcEndpoint",
    "TrustedRoot",
    "committed_constants",
    "load_network",
    "parse_network",
]
