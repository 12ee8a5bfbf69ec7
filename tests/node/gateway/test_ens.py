"""Names of ENS on an own node: both directions must agree (SPEC 16.8)."""

import json

import httpx2
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity.keys import keccak256
from peerstream.node.chain.abi import encode_call, encode_creation
from peerstream.node.chain.rpc import RpcClient, RpcTiming
from peerstream.node.chain.sending import Sender
from peerstream.node.chain.transactions import Plan
from peerstream.node.gateway import errors as ge
from peerstream.node.gateway.ens import KEPT_S, EnsFinder, namehash, normalise
from peerstream.node.gateway.names import EnsName
from tests.hostile.answers import answer
from tests.node.chain.chains import ACCOUNTS, new_chain

ROOT, ALICE, MALLORY = ACCOUNTS[0], ACCOUNTS[1], ACCOUNTS[2]
CHAIN_ID = 31_337


def own_node(handler):
    return RpcClient(
        "http://own.example",
        own_node=True,
        timing=RpcTiming(timeout_s=5.0, tries=1),
        transport=httpx2.MockTransport(handler),
    )


class Names:
    """A name service on a chain of its own."""

    def __init__(self, chain, registry):
        self.chain, self.registry = chain, registry

    def finder(self, handler=None):
        return EnsFinder(own_node(handler or self.chain.handle), self.registry)

    def call(self, account, function, *arguments):
        async def send():
            async with self.chain.client() as rpc:
                data = encode_call("DevENS", function, arguments)
                await Sender(rpc, account.secret, CHAIN_ID).send(Plan(to=self.registry, data=data))

        trio.run(send)

    def register(self, label, account, *, address=None, name=None):
        """Give a name to an account, lead it to an address, and name that account."""
        self.call(
            ROOT,
            "setSubnodeOwner",
            namehash("eth"),
            keccak256(label.encode()),
            str(account.address),
        )
        if address is not None:
            self.call(account, "setAddr", namehash(f"{label}.eth"), str(address))
        if name is not None:
            self.call(account, "setName", name)


def new_names():
    chain = new_chain()

    async def deploy():
        async with chain.client() as rpc:
            sender = Sender(rpc, ROOT.secret, CHAIN_ID)
            return (await sender.send(Plan(to=None, data=encode_creation("DevENS", ())))).created

    names = Names(chain, trio.run(deploy))
    names.call(ROOT, "setSubnodeOwner", bytes(32), keccak256(b"eth"), str(ROOT.address))
    names.register("alice", ALICE, address=ALICE.address, name="alice.eth")
    names.register("ж", ALICE, address=ALICE.address)
    names.register("stolen", MALLORY, address=ALICE.address, name="stolen.eth")
    names.register("nameless", MALLORY, address=ACCOUNTS[3].address)
    names.register("empty", MALLORY)
    return names


@pytest.fixture(scope="session")
def names():
    return new_names()


def find(names, text, handler=None):
    async def ask():
        finder = names.finder(handler)
        async with finder.rpc:
            return await finder.find(EnsName(text))

    return trio.run(ask)


@pytest.mark.parametrize("text", ["alice.eth", "Alice.eth", "ALICE.ETH"])
def test_a_name_that_agrees_both_ways(names, text):
    assert find(names, text) == ALICE.address


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("bob.eth", ge.EnsUnknownError),
        ("empty.eth", ge.EnsUnknownError),
        ("stolen.eth", ge.EnsMismatchError),  # its owner cannot make Alice's address say so
        ("nameless.eth", ge.EnsMismatchError),
        ("ж.eth", ge.EnsMismatchError),
        ("al_ice.eth", ge.BadEnsNameError),
        ("xn--ls8h.eth", ge.BadEnsNameError),
        ("\u0430lice.eth", ge.BadEnsNameError),  # its first letter is Cyrillic
        ("ali\u200dce.eth", ge.BadEnsNameError),
    ],
)
def test_what_is_no_name_or_does_not_agree(names, text, error):
    with pytest.raises(error):
        find(names, text)


def test_a_stranger_is_never_asked():
    client = RpcClient("https://stranger.example")
    with pytest.raises(ValueError, match="own node"):
        EnsFinder(client)


def answering(result=None, error=None):
    """A node that answers every call by this."""

    def handle(request):
        asked = json.loads(request.content)
        known = {"eth_chainId": "0x7a69", "eth_getBlockByNumber": {"number": "0x1"}}
        one = {"jsonrpc": "2.0", "id": asked["id"]}
        if asked["method"] in known:
            one["result"] = known[asked["method"]]
        elif error is not None:
            one["error"] = error
        else:
            one["result"] = result
        return answer(json.dumps(one).encode())

    return handle


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (answering("0x"), ge.EnsEndpointError),
        (answering("0x" + "ff" * 32), ge.EnsEndpointError),
        (answering("0x" + "00" * 31), ge.EnsEndpointError),
        (answering(7), ge.EnsEndpointError),
        (answering("0x" + "00" * 12 + "11" * 20), ge.EnsMismatchError),
        (
            answering(error={"code": 3, "message": "reverted", "data": "0x556f1830" + "00" * 32}),
            ge.EnsOffchainError,
        ),
        (answering(error={"code": 3, "message": "reverted", "data": "0x"}), ge.EnsUnknownError),
        (answering(error={"code": -32000, "message": "not synced"}), ge.EnsEndpointError),
        (lambda _request: httpx2.Response(500), ge.EnsEndpointError),
    ],
)
def test_a_node_that_is_faulty_or_would_send_us_elsewhere(names, handler, error):
    with pytest.raises(error):
        find(names, "alice.eth", handler)


async def test_a_name_is_asked_for_once_and_again_later(names, autojump_clock):
    asked = []

    def handle(request):
        asked.append(json.loads(request.content)["method"])
        return names.chain.handle(request)

    finder = names.finder(handle)
    async with finder.rpc:
        for _ in range(3):
            await finder.find(EnsName("alice.eth"))
        once = len(asked)
        assert asked.count("eth_call") == 4
        await trio.sleep(KEPT_S + 1)
        await finder.find(EnsName("alice.eth"))
    assert len(asked) == 2 * once


def test_a_chain_without_ens_says_so(names):
    finder = EnsFinder(own_node(names.chain.handle))
    with pytest.raises(ge.EnsUnknownError, match="31337 has no ENS"):
        trio.run(finder.find, EnsName("alice.eth"))


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="."), min_size=1)
)
def test_the_short_way_for_ascii_says_what_the_library_says(label):
    """ENSIP-15 by ens-normalize, for every name that our own rule decides."""
    from ens_normalize import DisallowedSequence, ens_normalize  # noqa: PLC0415 - 5 MB of tables

    try:
        wanted = ens_normalize(f"{label}.eth")
    except DisallowedSequence:
        with pytest.raises(ge.BadEnsNameError):
            normalise(f"{label}.eth")
    else:
        assert normalise(f"{label}.eth") == wanted


@pytest.mark.parametrize(
    ("name", "node"),
    [  # ERC-137
        ("eth", "93cdeb708b7545dc668eb9280176169d1c33cfd8ed6f04690a0bcc88a93fc4ae"),
        ("foo.eth", "de9b09fd7c5f901e23a3f19fecc54828e9c848539801e86591bd9801b019f84f"),
        ("addr.reverse", "91d1777781884d03a6757a803996e38de2a42967fb37eeaca72729271025a9e2"),
    ],
)
def test_nodes_of_names(name, node):
    assert namehash(name).hex() == node
