"""An anvil of one test, and our contracts on it, deployed where the vectors say."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import HTTPProvider, Web3
from web3.contract import Contract

from peerstream.node.chain.devnet.programs import find_anvil
from tests.system.contracts.toolchain import BUILD, environment, hardhat

START_S = 30.0
END_S = 10.0
GENESIS = bytes.fromhex("a1" * 32)
PARAMETERS = bytes.fromhex("b2" * 32)
EPOCH_S = 600
REGISTRY = (EPOCH_S, 1_000, 3_600, 10**18, PARAMETERS, GENESIS)


@contextmanager
def anvil(*options: str) -> Iterator[Web3]:
    """Run an anvil of chain 31337 on loopback, and end it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Not npm's `anvil`: that is a script which passes no signal on to the program it starts.
    program = find_anvil()
    assert program is not None, "anvil is not installed"
    command = [program, "--silent", "--host", "127.0.0.1", "--port", str(port), *options]
    with subprocess.Popen(command, env=environment()) as process:
        try:
            yield _ready(Web3(HTTPProvider(f"http://127.0.0.1:{port}")), process)
        finally:
            process.terminate()
            process.wait(END_S)


def _ready(chain: Web3, process: subprocess.Popen[bytes]) -> Web3:
    end = time.monotonic() + START_S
    while not chain.is_connected():
        assert process.poll() is None, "anvil ended"
        assert time.monotonic() < end, "anvil does not answer"
        time.sleep(0.05)  # another process: its clock is the real one
    return chain


def deployer() -> LocalAccount:
    """Return the account that deploys first of all, so that its contracts' addresses are known."""
    return Account.from_key(b"\x11" * 32)


class Chain:
    """The contracts of a network on an anvil: relays, identities, board, probe."""

    def __init__(self, web3: Web3) -> None:
        hardhat("build", "--quiet")
        self.web3 = web3
        self.sender = deployer()
        self.fund(self.sender.address)
        self.relays = self.deploy("RelayRegistry", *REGISTRY)
        self.identities = self.deploy("IdentityRegistry", self.relays.address)
        self.board = self.deploy("RendezvousBoard", self.relays.address)
        self.probe = self.deploy("VectorProbe", self.relays.address)

    def fund(self, account: str) -> None:
        self.web3.provider.make_request("anvil_setBalance", [account, hex(10**21)])

    def deploy(self, name: str, *arguments: Any) -> Contract:
        file = "Wallets" if name.endswith(("Wallet", "Delegate", "Factory")) else name
        (artifact,) = (BUILD / "artifacts" / "contracts").glob(f"**/{file}.sol/{name}.json")
        built = json.loads(artifact.read_text())
        factory = self.web3.eth.contract(abi=built["abi"], bytecode=built["bytecode"])
        receipt = self.send(factory.constructor(*arguments))
        return self.web3.eth.contract(address=receipt["contractAddress"], abi=built["abi"])

    def send(self, call: Any, sender: LocalAccount | None = None, **more: Any) -> Any:
        """Send a call as a transaction; return the receipt of its success."""
        account = sender or self.sender
        nonce = self.web3.eth.get_transaction_count(account.address)
        plan = call.build_transaction({"from": account.address, "nonce": nonce, **more})
        # The estimate is for this second: a time that is stored may be another one in the next.
        plan["gas"] = plan["gas"] * 5 // 4
        return self.post(account.sign_transaction(plan).raw_transaction)

    def post(self, raw: bytes) -> Any:
        receipt = self.web3.eth.wait_for_transaction_receipt(
            self.web3.eth.send_raw_transaction(raw)
        )
        assert receipt["status"] == 1
        return receipt
