import json

import pytest
import trio

from peerstream.node.chain.errors import (
    AnswerTooLargeError,
    EndpointBusyError,
    EndpointClosedError,
    EndpointRefusedError,
    EndpointTimeoutError,
    MalformedAnswerError,
)
from peerstream.node.chain.rpc import BATCH_MAX, ContractRevertedError, RpcClient, RpcTiming
from tests.hostile.answers import answer
from tests.hostile.chain_endpoints import (
    BreakingEndpoint,
    BusyEndpoint,
    ClosedEndpoint,
    FloodingEndpoint,
    GarbageEndpoint,
    HangingEndpoint,
    SpyingEndpoint,
    items,
)


async def test_results_come_in_the_order_of_the_requests(chain):
    def backwards(request):
        found = json.loads(chain.methods_answer(request.content))
        return answer(json.dumps(list(reversed(found))).encode())

    client = chain.client(backwards)
    requests = [("eth_chainId", ()), ("net_version", ()), ("eth_blockNumber", ())]
    head = hex(chain.ledger.head.header.block_number)
    assert await client.batch(requests) == ["0x7a69", "31337", head]


async def test_many_requests_go_in_batches_that_endpoints_take(chain):
    spy = SpyingEndpoint(chain.handle)
    found = await chain.client(spy).batch([("eth_chainId", ())] * (2 * BATCH_MAX + 1))
    assert found == ["0x7a69"] * (2 * BATCH_MAX + 1)
    assert [len(items(body)) for body in spy.seen] == [BATCH_MAX, BATCH_MAX, 1]


async def test_a_refused_one_does_not_spoil_the_others(rpc):
    refused, good = await rpc.batch([("eth_nothing", ()), ("eth_chainId", ())])
    assert isinstance(refused, EndpointRefusedError)
    assert refused.code == -32601
    assert good == "0x7a69"


async def test_a_single_refusal_is_raised(rpc):
    with pytest.raises(EndpointRefusedError, match="eth_nothing"):
        await rpc.call("eth_nothing")


async def test_a_revert_brings_the_contract_s_reason(chain, rpc):
    request = {"to": str(chain.deployment.relay_registry), "data": "0x12345678"}
    with pytest.raises(ContractRevertedError) as caught:
        await rpc.call("eth_call", request, "latest")
    assert caught.value.data == b""


async def test_hardhat_wraps_the_reason_in_an_object(chain):
    body = {"jsonrpc": "2.0", "id": 0, "error": {"message": "no", "data": {"data": "0xabcd"}}}
    with pytest.raises(ContractRevertedError) as caught:
        await chain.client(GarbageEndpoint(json.dumps(body).encode())).call("eth_call")
    assert caught.value.data == b"\xab\xcd"


def reply(**fields):
    return json.dumps({"jsonrpc": "2.0", **fields}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"null",
        b"17",
        b"[]",
        b"{}",
        b"[" * 200_000,
        b'{"result":' + b"[" * 70 + b"]" * 70 + b"}",
        reply(id=0),
        reply(id=1, result="0x1"),
        reply(id="0", result="0x1"),
        reply(id=True, result="0x1"),
        reply(id=None, result="0x1"),
        reply(id=0, error="no"),
        reply(id=0, error=[]),
        b"[" + reply(id=0, result="0x1") + b"," + reply(id=0, result="0x2") + b"]",
        b"[" + reply(id=0, result="0x1") + b"," + reply(id=1, result="0x2") + b"]",
        b"[" + reply(id=0, result="0x1") + b",17]",
        b'{"id":0,"result":' + b"9" * 5_000 + b"}",
    ],
)
async def test_what_is_no_answer(chain, body):
    with pytest.raises(MalformedAnswerError):
        await chain.client(GarbageEndpoint(body)).call("eth_chainId")


async def test_a_batch_refused_as_a_whole(chain):
    body = reply(id=None, error={"code": -32005, "message": "batch too large"})
    with pytest.raises(EndpointRefusedError, match="batch too large"):
        await chain.client(GarbageEndpoint(body)).batch([("eth_chainId", ())] * 2)


async def test_a_long_message_is_cut(chain):
    body = reply(id=0, error={"code": 1, "message": "x" * 100_000})
    with pytest.raises(EndpointRefusedError) as caught:
        await chain.client(GarbageEndpoint(body)).call("eth_chainId")
    assert len(str(caught.value)) < 300


async def test_a_flood_is_cut_off(chain):
    flood = FloodingEndpoint()
    with pytest.raises(AnswerTooLargeError):
        await chain.client(flood).call("eth_getLogs")
    assert flood.sent < 40_000_000


async def test_a_hanging_endpoint_is_left_after_its_time(chain, autojump_clock):
    with pytest.raises(EndpointTimeoutError, match="in time"):
        await chain.client(HangingEndpoint(chain.handle)).call("eth_chainId")
    assert trio.current_time() == pytest.approx(5.0)


async def test_a_closed_endpoint_is_tried_three_times(chain, autojump_clock):
    closed = ClosedEndpoint(chain.handle)
    with pytest.raises(EndpointClosedError, match=r"honest\.example: ConnectError"):
        await chain.client(closed).call("eth_chainId")
    assert closed.asked == 3


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_a_busy_endpoint_is_asked_later(chain, status, autojump_clock):
    client = chain.client(BusyEndpoint(chain.handle, times=2, status=status))
    assert await client.call("eth_chainId") == "0x7a69"
    with pytest.raises(EndpointBusyError, match=f"HTTP {status}"):
        await chain.client(BusyEndpoint(chain.handle, times=3, status=status)).call("eth_chainId")


async def test_a_broken_connection_is_opened_again(chain, autojump_clock):
    client = chain.client(BreakingEndpoint(chain.handle, "eth_chainId", times=2))
    assert await client.call("eth_chainId") == "0x7a69"


async def test_the_url_is_never_shown(chain, autojump_clock):
    closed = ClosedEndpoint(chain.handle)
    client = chain.client(closed, "https://user:SECRET@node.example:8545/v2/SECRET?key=SECRET")
    with pytest.raises(EndpointClosedError) as caught:
        await client.call("eth_chainId")
    assert "SECRET" not in repr(client) + str(caught.value)
    assert "node.example:8545" in repr(client)


async def test_a_closed_port_over_real_sockets():
    with trio.socket.socket() as probe:
        await probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with RpcClient(f"http://127.0.0.1:{port}", timing=RpcTiming(tries=1)) as client:
        with pytest.raises(EndpointClosedError, match=f"127.0.0.1:{port}: ConnectError"):
            await client.call("eth_chainId")


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"]
)
async def test_what_is_no_http(said, nursery):
    async def talk(stream):
        async with stream:
            await stream.receive_some(65_536)
            await stream.send_all(said)

    listeners = await nursery.start(trio.serve_tcp, talk, 0)
    port = listeners[0].socket.getsockname()[1]
    async with RpcClient(f"http://127.0.0.1:{port}", timing=RpcTiming(tries=1)) as client:
        with pytest.raises(EndpointClosedError):
            await client.call("eth_chainId")
    nursery.cancel_scope.cancel()


async def test_a_reason_that_is_no_hexadecimal(chain):
    body = reply(id=0, error={"code": 3, "message": "no", "data": "0xzz"})
    with pytest.raises(EndpointRefusedError) as caught:
        await chain.client(GarbageEndpoint(body)).call("eth_call")
    assert not isinstance(caught.value, ContractRevertedError)
