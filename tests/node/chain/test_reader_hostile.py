"""The reader against endpoints that lie, hide and stall: the right state or a named error."""

from dataclasses import replace

import pytest
import trio

from peerstream.node.chain.contract_calls import ROOT_FOR
from peerstream.node.chain.endpoints import Endpoints
from peerstream.node.chain.errors import (
    BadProofError,
    EndpointClosedError,
    EndpointRefusedError,
    EndpointsDisagreeError,
    FutureBlockError,
    MalformedAnswerError,
    RegistryRootError,
    StaleEndpointError,
    TooFewEndpointsError,
    WrongChainError,
    WrongContractError,
)
from peerstream.node.chain.reader import Freshness, RegistryReader, read_registry
from peerstream.node.chain.registration import register_relays
from tests.hostile.chain_endpoints import (
    BreakingEndpoint,
    ClosedEndpoint,
    DrippingEndpoint,
    HangingEndpoint,
    LyingEndpoint,
    RefusingEndpoint,
    SpyingEndpoint,
)
from tests.node.chain.chains import ACCOUNTS, EPOCH_S, registration


async def refused(chain, error, *handlers, match=None, **options):
    reader = chain.reader(*handlers, **options)
    with pytest.raises(error, match=match):
        await reader.read(chain.wall)


async def test_one_of_two_lies_about_the_root(populated):
    lie = lying_about_roots(populated)
    await refused(populated, EndpointsDisagreeError, populated.handle, without_proof(lie))


async def test_one_that_lies_about_the_root_is_caught_by_its_own_proof(populated):
    lie = lying_about_roots(populated)
    await refused(populated, TooFewEndpointsError, populated.handle, lie, match="other roots")


async def test_both_lie_about_the_root(populated):
    lie = lying_about_roots(populated)
    await refused(populated, RegistryRootError, without_proof(lie), without_proof(lie))
    await refused(populated, BadProofError, lie, lie)


def lying_about_roots(chain):
    def lie(params, result):
        return "0x" + "ab" * 32 if ROOT_FOR.hex() in params[0]["data"] else result

    return LyingEndpoint(chain.handle, "eth_call", lie)


def without_proof(handler):
    async def handle(request):
        response = await handler(request)
        return await RefusingEndpoint(lambda _: response, "eth_getProof")(request)

    return handle


@pytest.mark.parametrize(
    "change",
    [
        lambda logs: logs[1:],
        lambda logs: logs[:2] + logs[3:],
        lambda logs: [*logs, logs[-1]],
        lambda logs: list(reversed(logs)),
        lambda logs: [logs[0] | {"data": logs[1]["data"]}, *logs[1:]],
        lambda logs: [logs[0] | {"removed": True}, *logs[1:]],
        lambda logs: [logs[0] | {"address": "0x" + "11" * 20}, *logs[1:]],
        lambda logs: [logs[0] | {"blockNumber": "0xffff"}, *logs[1:]],
        lambda logs: [logs[0] | {"topics": ["0x" + "12" * 32]}, *logs[1:]],
        lambda logs: [logs[0] | {"topics": []}, *logs[1:]],
        lambda _logs: "logs",
        lambda _logs: [17],
    ],
)
async def test_forged_events_are_never_used(populated, change):
    lie = LyingEndpoint(populated.handle, "eth_getLogs", lambda _, logs: change(logs))
    errors = (EndpointsDisagreeError, TooFewEndpointsError)
    await refused(populated, errors, populated.handle, lie)
    await refused(populated, (RegistryRootError, MalformedAnswerError), lie, lie)


async def test_one_of_two_hides_a_revocation(populated):
    # No root covers identities: one honest endpoint is what it takes.
    lie = LyingEndpoint(populated.handle, "eth_getLogs", lambda _, logs: logs[:-1])
    await refused(populated, EndpointsDisagreeError, populated.handle, lie)


async def test_an_endpoint_that_serves_an_old_block_is_named(populated):
    stale = at_block(populated, hex(populated.ledger.head.header.block_number))
    populated.advance(1_801)
    await refused(populated, StaleEndpointError, populated.handle, stale, match="e1.example")


async def test_two_endpoints_that_serve_an_old_block(populated):
    populated.wall += 7_300
    await refused(populated, StaleEndpointError, match="seconds old")


async def test_a_little_behind_is_no_lie(populated):
    populated.advance(12)
    stale = at_block(populated, hex(populated.ledger.head.header.block_number - 1))
    snapshot = await populated.reader(populated.handle, stale).read(populated.wall)
    assert snapshot.block.number == populated.ledger.head.header.block_number - 1


def at_block(chain, number):
    old = chain.methods.call("eth_getBlockByNumber", [number, False])
    latest = {"latest", "finalized"}
    return LyingEndpoint(
        chain.handle,
        "eth_getBlockByNumber",
        lambda params, result: old if params[0] in latest else result,
    )


async def test_a_final_block_never_goes_back(populated):
    anchor = replace(populated.anchor(), final_tag="finalized")
    back = at_block(populated, hex(populated.ledger.head.header.block_number))
    populated.advance(5)

    async def handle(request):
        return await back(request) if lies else populated.handle(request)

    lies = []
    reader = RegistryReader(
        Endpoints.of([populated.client(handle), populated.client(handle)]), anchor
    )
    await reader.read(populated.wall)
    lies.append(True)
    with pytest.raises(StaleEndpointError, match="final block"):
        await reader.read(populated.wall)


async def test_a_block_from_the_future(populated):
    reader = populated.reader()
    with pytest.raises(FutureBlockError):
        await reader.read(populated.wall - 61)


async def test_an_endpoint_of_another_chain(populated):
    other = LyingEndpoint(populated.handle, "eth_chainId", lambda *_: "0x1")
    await refused(populated, WrongChainError, other, other)
    await refused(populated, TooFewEndpointsError, populated.handle, other, match="chain 31337")


async def test_an_endpoint_with_another_first_block(populated):
    def lie(params, result):
        return result | {"hash": "0x" + "99" * 32} if params[0] == "0x0" else result

    other = LyingEndpoint(populated.handle, "eth_getBlockByNumber", lie)
    await refused(populated, WrongChainError, other, other)


async def test_addresses_without_our_contracts(populated):
    anchor = replace(populated.anchor(), identity_registry=ACCOUNTS[0].address)
    endpoints = Endpoints.of([populated.client(), populated.client()])
    with pytest.raises(WrongContractError):
        await read_registry(endpoints, anchor, populated.wall)


async def test_contracts_of_another_network(populated):
    other = LyingEndpoint(populated.handle, "eth_call", lambda *_: "0x" + "00" * 32)
    await refused(populated, WrongContractError, other, other)


async def test_blocks_that_do_not_follow_each_other(populated):
    def lie(params, block):
        return block | {"parentHash": "0x" + "55" * 32}

    other = LyingEndpoint(populated.handle, "eth_getBlockByNumber", lie)
    await refused(populated, EndpointsDisagreeError, other, other)


async def test_an_endpoint_that_changes_its_mind(populated):
    asked = []

    def lie(params, block):
        asked.append(params[0])
        changed = asked.count(params[0]) > 2  # two endpoints ask each question once
        return block | {"mixHash": "0x" + "44" * 32} if changed else block

    other = LyingEndpoint(populated.handle, "eth_getBlockByNumber", lie)
    await refused(populated, EndpointsDisagreeError, other, other, match="meanwhile")


async def test_another_block_than_the_one_that_was_asked_for(populated):
    older = populated.methods.call("eth_getBlockByNumber", ["0x2", False])
    head = hex(populated.ledger.head.header.block_number)
    other = LyingEndpoint(
        populated.handle, "eth_getBlockByNumber", lambda p, b: older if p[0] == head else b
    )
    await refused(populated, EndpointsDisagreeError, other, other, match="got 2")


async def test_an_endpoint_without_a_first_block(populated):
    other = LyingEndpoint(
        populated.handle, "eth_getBlockByNumber", lambda p, b: None if p[0] == "0x0" else b
    )
    await refused(populated, MalformedAnswerError, other, other, match="first block")
    refusing = RefusingEndpoint(populated.handle, "eth_chainId")
    await refused(populated, EndpointRefusedError, refusing, refusing)


async def test_a_long_chain_is_read_in_parts(populated, monkeypatch):
    monkeypatch.setattr("peerstream.node.chain.reader.RANGE_MAX", 3)
    spy = SpyingEndpoint(populated.handle)
    whole = await populated.reader().read(populated.wall)
    parts = await populated.reader(spy, spy).read(populated.wall)
    assert parts.views == whole.views
    total = populated.ledger.head.header.block_number - populated.deployment.block + 1
    asked = [body for body in spy.seen if b"eth_getLogs" in body]
    of_board = [body for body in asked if b"topics" in body]  # begins two periods ago, not earlier
    assert len(asked) - len(of_board) == 2 * -(-total // 3)
    assert 2 <= len(of_board) <= 2 * -(-total // 3)


async def test_one_hangs_and_two_others_suffice(populated, autojump_clock):
    reader = populated.reader(HangingEndpoint(populated.handle), populated.handle, populated.handle)
    snapshot = await reader.read(populated.wall)
    assert len(snapshot.views[1]) == 3


async def test_one_of_two_hangs(populated, autojump_clock):
    hanging = HangingEndpoint(populated.handle)
    await refused(populated, TooFewEndpointsError, populated.handle, hanging, match="in time")


@pytest.mark.parametrize("method", ["eth_getLogs", "eth_getBlockByNumber", "eth_call"])
async def test_one_that_hangs_at_one_question_is_left_in_the_end(populated, method, autojump_clock):
    hanging = HangingEndpoint(populated.handle, method)
    began = trio.current_time()
    await refused(populated, TooFewEndpointsError, populated.handle, hanging)
    assert trio.current_time() - began < 61


async def test_one_that_drips(populated, autojump_clock):
    dripping = DrippingEndpoint(populated.handle)
    await refused(populated, TooFewEndpointsError, populated.handle, dripping, match="in time")


async def test_closed_endpoints(populated, autojump_clock):
    closed = ClosedEndpoint(populated.handle)
    await refused(populated, EndpointClosedError, closed, closed)
    await refused(populated, TooFewEndpointsError, populated.handle, closed, match="ConnectError")


async def test_a_broken_connection_is_tried_again(populated, autojump_clock):
    breaking = BreakingEndpoint(populated.handle, "eth_getLogs")
    assert (
        len((await populated.reader(populated.handle, breaking).read(populated.wall)).latest) == 3
    )


async def test_nothing_of_a_failed_read_is_kept(populated, populated_rpc):
    lies = [False]

    def lie(params, logs):
        return logs[:-1] if lies[0] else logs

    liar = LyingEndpoint(populated.handle, "eth_getLogs", lie)
    reader = populated.reader(liar, liar)
    await reader.read(populated.wall)
    await register_relays(
        populated_rpc, populated.deployment, [registration(populated, n) for n in (4, 5)]
    )
    populated.advance(3 * EPOCH_S)
    lies[0] = True
    with pytest.raises(RegistryRootError):
        await reader.read(populated.wall)
    lies[0] = False
    assert len((await reader.read(populated.wall)).views[1]) == 5


async def test_the_limits_can_be_set(populated):
    strict = Freshness(age_s=1)
    populated.wall += 2
    await refused(populated, StaleEndpointError, freshness=strict)
