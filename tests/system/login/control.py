"""Wallets that live outside the browser, and what a scenario may turn: the clock, owners."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from eth_account import Account
from eth_account.messages import encode_defunct

from peerstream.identity import (
    Address,
    CredentialChain,
    Delegation,
    DelegationChecks,
    Scope,
    SignedDelegation,
)
from tests.identity.samples import DAY, DEVICE, IDENTITY, NETWORK, fixed
from tests.system.login.chain import Chain, wrapped

REJECTED = {"code": 4001, "message": "User rejected the request."}
UNKNOWN = {"code": 4200, "message": "Unsupported method."}


def secret_of(name):
    return fixed(f"browser wallet {name}")


@dataclass
class Wallet:
    """What a wallet does when it is asked.

    name: whose key signs. kind: what the account is. rejects: the person says no. thinks: seconds
    that pass at the service while they read. shows: whose account is named instead of the signer's.
    """

    name: str
    chain_id: int = 1
    kind: str = "plain"
    rejects: bool = False
    thinks: int = 0
    shows: str | None = None
    switches: bool = True
    signed: int = 0
    address: str = ""
    factory: Address | None = None


class Control:
    """All wallets, by the id under which the page finds them."""

    def __init__(self, clock, chain: Chain) -> None:
        self.clock, self.chain = clock, chain
        self.wallets: dict[str, Wallet] = {}
        self._issued = 0

    def define(self, wallet, **values):
        """A new wallet; contracts are deployed for it."""
        made = Wallet(**values)
        owner = Account.from_key(secret_of(made.name)).address
        named = made.shows or made.name
        made.address = Account.from_key(secret_of(named)).address
        if made.kind == "contract":
            made.address = str(self.chain.deploy("OwnedWallet", Address.parse(owner)))
        if made.kind == "counterfactual":
            made.factory = self.chain.deploy("Factory")
            salt = fixed(wallet)
            made.address = str(self.chain.predicted(made.factory, Address.parse(owner), salt))
        if made.kind == "designated":
            self.chain.designate(secret_of(made.name), self.chain.deploy("Factory"))
        self.wallets[wallet] = made
        return {"address": made.address}

    def request(self, wallet, method, params):
        """What an EIP-1193 provider answers."""
        found = self.wallets[wallet]
        if method in ("eth_requestAccounts", "eth_accounts"):
            return {"result": [found.address.lower()]}
        if method == "eth_chainId":
            return {"result": hex(found.chain_id)}
        if method == "wallet_switchEthereumChain":
            if found.rejects:
                return {"error": REJECTED}
            if found.switches:
                found.chain_id = int(params[0]["chainId"], 16)
            return {"result": None}
        if method != "personal_sign":
            return {"error": UNKNOWN}
        self.clock.offset += found.thinks
        return {"error": REJECTED} if found.rejects else {"result": self.sign(wallet, params)}

    def sign(self, wallet, params):
        found = self.wallets[wallet]
        text = bytes.fromhex(params[0][2:]).decode()
        assert params[1].lower() == found.address.lower()
        secret = secret_of(found.name)
        found.signed += 1
        signature = bytes(Account.sign_message(encode_defunct(text=text), secret).signature)
        if found.factory is not None:
            owner = Address.parse(Account.from_key(secret).address)
            signature = wrapped(found.factory, owner, fixed(wallet), signature)
        return "0x" + signature.hex()

    def delegation(self, wallet):
        """What a node of this person's asks for: EIP-712 JSON, as `psp id` prints it."""
        return self._delegation(wallet).typed_data(NETWORK)

    def granted(self, wallet, grant):
        """Whether the node takes it: the delegation holds, and a device under it."""
        signed = SignedDelegation(NETWORK, self._delegation(wallet), bytes.fromhex(grant[2:]))
        now = self._issued
        known = {"network_id": NETWORK, "now": now, "required_scope": Scope.DIAL}
        kind = signed.verify(DelegationChecks(**known))
        chain = CredentialChain.issue(signed, IDENTITY, DEVICE, not_before=now, not_after=now + DAY)
        device = CredentialChain.decode(chain.encode()).verify(**known)
        return {"kind": kind.name, "device": str(device.account) == self.wallets[wallet].address}

    def count(self, wallet):
        """How often the person signed."""
        return {"signed": self.wallets[wallet].signed}

    def _delegation(self, wallet):
        self._issued = self._issued or int(time.time())
        return Delegation(
            account=Address.parse(self.wallets[wallet].address),
            identity_key=IDENTITY.public,
            issued=self._issued,
            not_before=self._issued - 60,
            not_after=self._issued + 30 * DAY,
            scope=Scope.ACCEPT | Scope.DIAL,
            label="my laptop",
        )

    def advance(self, seconds):
        """Let time pass at the service; None takes it back to now."""
        self.clock.offset = 0 if seconds is None else self.clock.offset + seconds
        return {}

    def hand_over(self, wallet):
        """The owner of a contract wallet gives it away."""
        found = self.wallets[wallet]
        self.chain.hand_over(Address.parse(found.address), secret_of(found.name))
        return {}


@contextmanager
def serving(control: Control) -> Iterator[str]:
    """Serve the control to the browser's program; gives its address."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                answer = json.dumps(getattr(control, self.path[1:])(**body)).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()
