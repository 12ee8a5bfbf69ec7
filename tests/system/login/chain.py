"""A devnet with contract wallets, for accounts that are not plain."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx2
from eth_account import Account

from peerstream.identity import Address
from peerstream.node.chain.devnet import dev_accounts
from tests.identity.samples import fixed, vectors
from tests.identity.test_wallet import selector, words, wrap
from tests.system.login.programs import PATIENCE_S, wait_for

CONTRACTS = vectors("wallet-contracts")["contracts"]


class Chain:
    """One devnet, spoken to over JSON-RPC as any application does."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx2.Client(timeout=PATIENCE_S)
        self.id = int(self.ask("eth_chainId"), 16)
        self.payer = dev_accounts()[40]

    def ask(self, method, *parameters):
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        answer = self.http.post(self.url, json=body).json()
        assert "error" not in answer, answer
        return answer["result"]

    def send(self, to, data=b"", value=0, secret=None, **more):
        """Send a transaction, wait until it is in a block, and return its receipt."""
        sender = Account.from_key(secret or self.payer.secret)
        transaction = {
            "chainId": self.id,
            "nonce": int(self.ask("eth_getTransactionCount", sender.address, "pending"), 16),
            "gas": 3_000_000,
            "maxFeePerGas": 10**10,
            "maxPriorityFeePerGas": 10**9,
            "value": value,
            "data": data,
            **({} if to is None else {"to": str(to)}),
            **more,
        }
        signed = sender.sign_transaction(transaction)
        sent = self.ask("eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex())
        wait_for(lambda: self.ask("eth_getTransactionReceipt", sent), "no block takes it")
        receipt = self.ask("eth_getTransactionReceipt", sent)
        assert receipt["status"] == "0x1"
        return receipt

    def deploy(self, name, *arguments):
        data = bytes.fromhex(CONTRACTS[name]["creation"]) + words(*arguments)
        return Address(bytes.fromhex(self.send(None, data)["contractAddress"][2:]))

    def predicted(self, factory, owner, salt):
        data = selector("predict(address,bytes32)") + words(owner, salt)
        call = {"to": str(factory), "data": "0x" + data.hex()}
        return Address(bytes.fromhex(self.ask("eth_call", call, "latest")[2:])[-20:])

    def hand_over(self, wallet, secret):
        """The owner gives the contract wallet to somebody else."""
        self.send(Account.from_key(secret).address, value=10**18)
        call = selector("setOwner(address)") + words(fixed("next owner", 20))
        self.send(wallet, call, secret=secret)

    def designate(self, secret, delegate):
        """An account points at a contract (EIP-7702); the payer sends that."""
        authorisation = Account.from_key(secret).sign_authorization(
            {"chainId": self.id, "address": str(delegate), "nonce": 0}
        )
        account = Account.from_key(secret).address
        self.send(self.payer.address, type=4, authorizationList=[authorisation])
        assert self.ask("eth_getCode", account, "latest").startswith("0xef0100")


def wrapped(factory, owner, salt, signature):
    """An ERC-6492 signature for a wallet that the factory would make."""
    call = selector("deploy(address,bytes32)") + words(owner, salt)
    return wrap(factory, call, signature)


@contextmanager
def running() -> Iterator[Chain]:
    """Run a devnet of its own process."""
    command = [sys.executable, "-m", "peerstream.node.chain.devnet", "--backend", "embedded"]
    process = subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        chain = Chain(json.loads(process.stdout.readline())["rpc_url"])
        with closing(chain.http):
            yield chain
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        process.stdout.close()
