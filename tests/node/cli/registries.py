"""`psp registry` against the embedded chain, without sockets and with a clock that tests set."""

import json
from dataclasses import dataclass, replace
from functools import partial

import httpx2
import trio
from trio.testing import MockClock

from peerstream.identity import IdentityKey
from peerstream.node.chain.deploy import Deployment
from peerstream.node.chain.networks import deployed_network
from peerstream.node.chain.posting import preview
from peerstream.node.chain.registration import RelaySlots
from peerstream.node.chain.rpc import RpcClient, RpcTiming
from peerstream.node.cli import registry_chain
from peerstream.node.config import RpcEndpoint
from tests.node.chain.chains import ACCOUNTS, CONSTANTS, Chain, registration
from tests.node.cli.shapes import require_failure, require_shape

OWN = RpcEndpoint("http://own.example", own_node=True)
STRANGERS = tuple(RpcEndpoint(f"http://s{n}.example", own_node=False) for n in range(2))


KEY = IdentityKey.from_bytes(b"\x05" * 32).public.hex()
ETHER = 10**18


def address(number):
    """The account of a number, as text."""
    return str(ACCOUNTS[number].address)


@dataclass
class Registry:
    """A chain, the files that a user has, and the command."""

    chain: Chain
    psp: object
    path: object

    def __post_init__(self):
        self.sent = []
        self.network = self.network_file("chain.json", [OWN])

    @property
    def deployment(self) -> Deployment:
        return self.chain.deployment

    def network_file(self, name, endpoints, **changes):
        """Write a network file with these endpoints."""
        parameters = deployed_network(self.deployment, CONSTANTS, endpoints)
        file = self.path / name
        file.write_text(json.dumps(replace(parameters, **changes).to_json()))
        return file

    def wallet(self, number):
        """Write the key of an account of the chain, or any key of 32 bytes."""
        secret = number if isinstance(number, bytes) else ACCOUNTS[number].secret
        file = self.path / f"wallet-{secret.hex()[:8]}"
        if not file.exists():
            file.touch(0o600)
            file.write_text(secret.hex())
        return file

    def run(self, *tokens, by=1, network=None):
        """Run a command of an account, without asking; return what came of it."""
        wallet = () if by is None else ("--wallet-key", self.wallet(by))
        options = ("--network", network or self.network, *wallet)
        return self.psp("registry", *tokens, *options, "--json")

    def change(self, *tokens, **options):
        """Run a command that writes, and is done; return its object."""
        done = self.run(*tokens, "--yes", **options)
        assert done.code == 0, done.err
        require_shape(done.json, 0)
        return done.json

    def show(self, *tokens, network=None):
        done = self.run("show", *tokens, by=None, network=network)
        assert done.code == 0, done.err
        require_shape(done.json, 1)
        return done.json

    def relay(self, *tokens):
        """Return the one relay that is shown."""
        (found,) = self.show(*tokens)["relays"]
        return found

    def identity(self, number=1):
        """Return what an account lists and revoked."""
        (found,) = self.show("--account", address(number))["identities"]
        return found

    def balance(self, number):
        """Return an account's wei."""
        state = self.chain.ledger.vm(self.chain.ledger.head).state
        return state.get_balance(ACCOUNTS[number].address.raw)

    def refused(self, name, *tokens, code=None, **options):
        """Run a command that fails by that name; return the outcome."""
        done = self.run(*tokens, "--yes", **options)
        require_failure(done.json, "psp.registry/1", name)
        assert done.code == code
        assert done.json["error"]["remedy"]
        return done

    def client(self, url, *, own_node=False):
        """Stand in for RpcClient: the same, over the chain in place of sockets."""

        def handle(request: httpx2.Request) -> httpx2.Response:
            self.sent.append((url, request.content))
            return self.chain.handle(request)

        timing = RpcTiming(timeout_s=5.0, tries=3, backoff_s=0.1)
        transport = httpx2.MockTransport(handle)
        return RpcClient(url, own_node=own_node, timing=timing, transport=transport)


def patched(monkeypatch, registry):
    """Let the command talk to the chain and take the chain's time; waiting takes no time."""
    monkeypatch.setattr(registry_chain, "RpcClient", registry.client)
    monkeypatch.setattr(registry_chain.SystemClock, "wall", lambda _: registry.chain.wall)
    run = partial(trio.run, clock=MockClock(autojump_threshold=0))
    monkeypatch.setattr(trio, "run", run)
    return registry


def signed_registration(registry):
    """Return a raw transaction by which operator 4 registers a relay."""
    return trio.run(_signed_registration, registry)


async def _signed_registration(registry):
    async with registry.chain.client() as rpc:
        slots = await RelaySlots.read(rpc, registry.deployment)
        _, plan = slots.add(registration(registry.chain, 4))
        return (await preview(rpc, ACCOUNTS[4].address, plan)).sign(ACCOUNTS[4].secret).raw
