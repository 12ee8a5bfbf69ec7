"""Asking a chain: a real EVM through web3 and over HTTP, and endpoints that lie or fail."""

import json

import httpx2
import pytest

from peerstream.identity import Address, SignatureKind, verify_wallet_signature
from peerstream.identity.errors import CallRevertedError, WalletRefusedError
from peerstream.identity.login.chain import ChainReadError, RpcReader, Web3Reader
from tests.identity.samples import fixed
from tests.identity.test_wallet import DIGEST, OWNER, STRANGER, Evm, account, selector, sign

SOMEBODY = Address(fixed("somebody", 20))


def reader(answer):
    """A reader whose endpoint answers as it is told."""

    def handle(request):
        body = json.loads(request.content)
        found = answer(body)
        if isinstance(found, httpx2.Response):
            return found
        return httpx2.Response(200, json={"jsonrpc": "2.0", "id": body["id"], **found})

    return RpcReader("http://node.example", transport=httpx2.MockTransport(handle))


@pytest.fixture(scope="module")
def evm():
    return Evm()


def over_http(evm):
    """The EVM's answers, as a node gives them."""

    def answer(body):
        method, parameters = body["method"], body["params"]
        assert parameters[-1] == "latest"
        if method == "eth_getCode":
            return {"result": "0x" + evm.code(parameters[0]).hex()}
        to = parameters[0].get("to")
        try:
            data = evm.call(to, bytes.fromhex(parameters[0]["data"][2:]))
        except CallRevertedError:
            return {"error": {"code": 3, "message": "execution reverted", "data": "0x"}}
        return {"result": "0x" + data.hex()}

    return reader(answer)


@pytest.mark.parametrize("through", ["web3", "http"])
def test_contract_wallets_are_asked(evm, through):
    chain = Web3Reader(evm.w3.eth) if through == "web3" else over_http(evm)
    wallet = evm.deploy("OwnedWallet", account(OWNER))
    kind = verify_wallet_signature(wallet, DIGEST, sign(OWNER), eth_call=chain)
    assert kind is SignatureKind.CONTRACT
    with pytest.raises(WalletRefusedError):
        verify_wallet_signature(wallet, DIGEST, sign(STRANGER), eth_call=chain)
    with pytest.raises(WalletRefusedError):  # the contract reverts
        verify_wallet_signature(wallet, DIGEST, b"short", eth_call=chain)
    assert verify_wallet_signature(account(OWNER), DIGEST, sign(OWNER), eth_call=chain) == 0


def test_a_revert_is_told_from_a_failure(evm):
    wallet = evm.deploy("OwnedWallet", account(OWNER))
    with pytest.raises(CallRevertedError):
        Web3Reader(evm.w3.eth).call(wallet, selector("unknown()"))

    class Broken:
        def get_code(self, account, block):
            raise ValueError("no such method")

        def call(self, transaction, block):
            raise KeyError("result")

    with pytest.raises(ChainReadError):
        Web3Reader(Broken()).code(SOMEBODY)
    with pytest.raises(ChainReadError):
        Web3Reader(Broken()).call(SOMEBODY, b"")


@pytest.mark.parametrize(
    "answer",
    [
        {"result": None},
        {"result": 5},
        {"result": "0xzz"},
        {"result": "00"},
        {"result": "0x0"},
        {},
        {"error": {"code": -32000, "message": "limit"}},
        {"error": "no"},
        {"error": {"code": 3, "message": 5}},
        httpx2.Response(200, content=b"[]"),
        httpx2.Response(200, content=b"no json"),
        httpx2.Response(200, content=b"[" * 100_000),
        httpx2.Response(200, content=b'"' + b"0" * 300_000 + b'"'),
        httpx2.Response(500, content=b""),
        httpx2.Response(302, headers={"location": "http://evil.example"}),
    ],
)
def test_an_endpoint_that_lies_or_fails_is_named(answer):
    with pytest.raises(ChainReadError):
        reader(lambda _body: answer).code(SOMEBODY)


def test_an_endpoint_that_is_gone_is_named():
    def gone(_request):
        raise httpx2.ConnectError("refused")

    chain = RpcReader("http://node.example", transport=httpx2.MockTransport(gone))
    with pytest.raises(ChainReadError):
        chain.code(SOMEBODY)
    chain.close()


def test_a_chain_says_which_it_is():
    assert reader(lambda _body: {"result": "0x7a69"}).chain_id() == 31_337
    for answer in ({"result": None}, {"result": "no"}):
        with pytest.raises(ChainReadError):
            reader(lambda _body, answer=answer: answer).chain_id()
