"""Private chains for development and tests: embedded, anvil or hardhat (SPEC 8.7)."""

from peerstream.node.chain.devnet.accounts import MNEMONIC, DevAccount, dev_accounts
from peerstream.node.chain.devnet.devnet import Devnet
from peerstream.node.chain.devnet.errors import (
    BackendMissingError,
    DevnetError,
    DevnetStartError,
    StateFileError,
)

__all__ = [
    "MNEMONIC",
    "BackendMissingError",
    "DevAccount",
    "Devnet",
    "DevnetError",
    "DevnetStartError",
    "StateFileError",
    "dev_accounts",
]
