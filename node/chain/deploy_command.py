"""Deploy the contracts of a network in one command (SPEC 8.6).

``python -m peerstream.node.chain.deploy_command --rpc URL --constants main --wallet FILE
--record FILE [--network-file FILE]``

The key is in an encrypted file as wallets write it (Web3 Secret Storage, version 3); its
passphrase is asked for, or read from a descriptor. Nothing secret stands in the arguments.
"""

import argparse
import getpass
import json
import os
import sys
from pathlib import Path
from typing import Final

import trio
from eth_account import Account

from peerstream.identity.json_text import read_json
from peerstream.identity.signer import LocalSigner
from peerstream.node.chain.deploy import Deployment, RegistrySettings, deploy
from peerstream.node.chain.errors import ChainError, WalletFileError
from peerstream.node.chain.networks import deployed_network
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.config import NetworkConstants, RpcEndpoint, committed_constants
from peerstream.node.config.files import COMMITTED

_PASSPHRASE_MAX: Final = 1_024
_SECRET_SIZE: Final = 32


def read_key(path: Path, passphrase: str) -> bytes:
    """Return the secret key, 32 bytes, from an encrypted wallet file. Raises WalletFileError."""
    try:
        secret = bytes(Account.decrypt(read_json(path.read_bytes()), passphrase))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WalletFileError(f"{path}: {type(error).__name__}") from error
    if len(secret) != _SECRET_SIZE:
        raise WalletFileError(f"{path}: no key of {_SECRET_SIZE} bytes")
    return secret


async def run(url: str, secret: bytes, constants: NetworkConstants) -> Deployment:
    """Deploy over one endpoint; say on standard error what happens."""
    async with RpcClient(url, own_node=True) as rpc:
        sys.stderr.write(f"deploying from {LocalSigner(secret).address} over {rpc.name}\n")
        return await deploy(rpc, secret, RegistrySettings.of_network(constants))


def main(arguments: list[str]) -> int:
    """Deploy and write the records; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rpc", required=True, help="an endpoint of your own")
    parser.add_argument("--constants", choices=COMMITTED, default="main")
    parser.add_argument("--wallet", type=Path, required=True, help="encrypted wallet file")
    parser.add_argument("--passphrase-fd", type=int, help="descriptor to read the passphrase from")
    parser.add_argument("--record", type=Path, required=True, help="file for the addresses")
    parser.add_argument("--network-file", type=Path, help="file for everybody else")
    found = parser.parse_args(arguments)
    try:
        secret = read_key(found.wallet, _passphrase(found.passphrase_fd))
        constants = committed_constants(found.constants)
        deployment = trio.run(run, found.rpc, secret, constants)
    except ChainError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    _write(found.record, deployment.to_json())
    if found.network_file is not None:
        network = deployed_network(deployment, constants, [RpcEndpoint(found.rpc, own_node=True)])
        _write(found.network_file, network.to_json())
    return 0


def _passphrase(descriptor: int | None) -> str:
    if descriptor is None:
        return getpass.getpass("passphrase of the wallet file: ")
    with os.fdopen(descriptor) as stream:
        return stream.read(_PASSPHRASE_MAX).rstrip("\n")


def _write(path: Path, found: object) -> None:
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
