"""An embedded chain with our contracts, without sockets and with a clock that tests set."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

import httpx2
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peerstream.node.chain.deploy import Deployment, RegistrySettings, deploy
from peerstream.node.chain.devnet import jsonrpc
from peerstream.node.chain.devnet.accounts import BALANCE, dev_accounts
from peerstream.node.chain.devnet.ledger import Ledger
from peerstream.node.chain.devnet.methods import Methods
from peerstream.node.chain.endpoints import Endpoints
from peerstream.node.chain.reader import RegistryReader
from peerstream.node.chain.registration import RelayRegistration
from peerstream.node.chain.rpc import RpcClient, RpcTiming
from peerstream.node.config import committed_constants
from peerstream.node.protocol.directory.relay_set import prove_possession
from tests.hostile.answers import answer

WALL = 1_800_000_000
CONSTANTS = committed_constants("devnet")
EPOCH_S = CONSTANTS.epoch_s
STAKE = 10**18
KEY, DEVICE = b"\x07" * 32, b"\x08" * 32
ACCOUNTS = dev_accounts()
_METHOD = re.compile(rb'"method": "(\w+)"')
_READS = {b"eth_chainId", b"eth_getBlockByNumber", b"eth_call", b"eth_getLogs", b"eth_getProof"}
Handler = Callable[[httpx2.Request], httpx2.Response]


def entropy(start: int = 0) -> Callable[[int], bytes]:
    """Chance that is the same in every run."""
    counter = iter(range(start, 1 << 62))

    def draw(size: int) -> bytes:
        return sha256(next(counter).to_bytes(8, "big")).digest()[:size]

    return draw


@dataclass
class Chain:
    """A chain at `wall`, unix seconds."""

    ledger: Ledger
    wall: int
    deployment: Deployment | None = None

    def __post_init__(self) -> None:
        self._answers: dict[tuple[bytes, bytes], bytes] = {}
        self.methods = Methods(self.ledger, ACCOUNTS, lambda: self.wall)

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        """Answer as the endpoint would, without HTTP between us."""
        return answer(self.methods_answer(request.content))

    def methods_answer(self, body: bytes) -> bytes:
        """Return the bytes that answer a request's body.

        What a reader asks is answered once for each head: many tests ask the same of one chain.
        """
        asked = set(_METHOD.findall(body))
        if not asked <= _READS or b"pending" in body:
            return jsonrpc.answer(body, self.methods)
        key = (body, self.ledger.head.header.hash)
        if key not in self._answers:
            self._answers[key] = jsonrpc.answer(body, self.methods)
        return self._answers[key]

    def client(
        self, handler: Handler | None = None, url: str = "http://honest.example"
    ) -> RpcClient:
        """Return a client of it, or of an endpoint in between."""
        transport = httpx2.MockTransport(handler or self.handle)
        timing = RpcTiming(timeout_s=5.0, tries=3, backoff_s=0.1)
        return RpcClient(url, timing=timing, transport=transport)

    def reader(self, *handlers: Handler, anchor=None, **options) -> RegistryReader:
        """Return a reader over endpoints that these handlers answer for; by another anchor."""
        found = handlers or (self.handle, self.handle)
        clients = [self.client(handler, f"http://e{n}.example") for n, handler in enumerate(found)]
        return RegistryReader(Endpoints.of(clients), anchor or self.anchor(), **options)

    def anchor(self):
        """What ties a reader to the deployment, with rings."""
        return self.deployment.anchor(CONSTANTS.period_s)

    def advance(self, seconds: int) -> None:
        """Let time pass, and a block come after it."""
        self.wall += seconds
        self.ledger.mine(self.wall)

    @contextmanager
    def undone(self) -> Iterator["Chain"]:
        """Take back what happens within."""
        number, wall = self.ledger.snapshot(), self.wall
        try:
            yield self
        finally:
            self.ledger.revert(number)
            self.wall = wall


def new_chain() -> Chain:
    """A chain with nothing on it, two hours before WALL."""
    balances = {account.address.raw: BALANCE for account in ACCOUNTS}
    return Chain(Ledger(WALL - 7_200, balances, entropy()), WALL - 7_200)


def deployed_chain() -> Chain:
    """A chain at WALL on which our contracts were deployed two hours before."""
    chain = new_chain()
    settings = RegistrySettings.of_devnet(CONSTANTS)
    chain.deployment = trio.run(deploy, chain.client(), ACCOUNTS[0].secret, settings)
    chain.wall = WALL
    chain.ledger.mine(WALL)
    return chain


def host_key(number: int) -> Ed25519PrivateKey:
    """The host key of a relay."""
    return Ed25519PrivateKey.from_private_bytes(sha256(b"host %d" % number).digest())


def relay_id(number: int) -> bytes:
    """The relay's id."""
    return host_key(number).public_key().public_bytes_raw()


def registration(chain: Chain, number: int, stake: int = STAKE) -> RelayRegistration:
    """Relay `number` of operator account `number`."""
    account = ACCOUNTS[number]
    network_id = chain.deployment.network_id
    proof = prove_possession(host_key(number), network_id, account.address.raw, relay_id(number))
    sign_key = ACCOUNTS[63 - number].address.raw
    return RelayRegistration(account.secret, relay_id(number), sign_key, bytes(32), proof, stake)
