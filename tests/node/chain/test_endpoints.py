import json

import pytest
import trio

from peerstream.node.chain.endpoints import Endpoints
from peerstream.node.chain.errors import (
    AnswerTooLargeError,
    EndpointClosedError,
    EndpointRefusedError,
    EndpointsDisagreeError,
    EndpointTimeoutError,
    MalformedAnswerError,
    TooFewEndpointsError,
)
from peerstream.node.chain.logs import RANGE_MAX, read_logs
from peerstream.node.chain.rpc import ContractRevertedError, RpcClient


def clients(*own: bool) -> list[RpcClient]:
    return [RpcClient(f"http://e{n}.example", own_node=flag) for n, flag in enumerate(own)]


@pytest.mark.parametrize("own", [(), (False,)])
def test_one_endpoint_of_a_stranger_is_not_enough(own):
    with pytest.raises(TooFewEndpointsError, match="your own node"):
        Endpoints.of(clients(*own))


@pytest.mark.parametrize(
    ("own", "asked", "agree"),
    [((True,), 1, 1), ((True, False), 1, 1), ((False, False), 2, 2), ((False,) * 3, 3, 2)],
)
def test_own_nodes_are_asked_alone(own, asked, agree):
    endpoints = Endpoints.of(clients(*own))
    assert (len(endpoints.clients), endpoints.agree) == (asked, agree)
    assert any(own) == all(client.own_node for client in endpoints.clients)


def answers(*values):
    """Return endpoints, and a question that they answer with these; errors are raised."""
    found = dict(zip(clients(*[False] * len(values)), values, strict=True))

    async def question(client):
        value = found[client]
        if isinstance(value, Exception):
            raise value
        if value is None:
            await trio.sleep_forever()
        return value

    return Endpoints(tuple(found), 2), question


@pytest.mark.parametrize("values", [(7, 7), (7, 7, 7), (7, EndpointClosedError("x"), 7)])
async def test_agreement(values):
    endpoints, question = answers(*values)
    assert await endpoints.agreed(question) == 7


@pytest.mark.parametrize("values", [(7, 8), (7, 7, 8), (8, EndpointClosedError("x"), 7)])
async def test_any_dissent_is_an_error(values):
    endpoints, question = answers(*values)
    with pytest.raises(EndpointsDisagreeError, match=r"e\d.example and e\d.example"):
        await endpoints.agreed(question)


async def test_too_few_answers_name_every_reason():
    endpoints, question = answers(7, EndpointClosedError("gone"), MalformedAnswerError("junk"))
    with pytest.raises(TooFewEndpointsError, match=r"1 endpoints.*gone.*junk|junk.*gone") as caught:
        await endpoints.agreed(question)
    assert len(caught.value.reasons) == 2


async def test_one_reason_for_all_is_itself():
    endpoints, question = answers(EndpointClosedError("a"), EndpointClosedError("b"))
    with pytest.raises(EndpointClosedError):
        await endpoints.agreed(question)


async def test_patience_ends(autojump_clock):
    endpoints, question = answers(7, None, 7)
    assert await endpoints.agreed(question) == 7
    assert trio.current_time() == pytest.approx(60)
    endpoints, question = answers(7, None)
    with pytest.raises(TooFewEndpointsError, match="more than 60 s"):
        await endpoints.agreed(question)


# Logs in pieces


class LogServer:
    """An endpoint that gives logs of at most `limit` blocks at once, and refuses more by name."""

    def __init__(self, blocks: dict[int, int], limit: int, refusal: Exception) -> None:
        self.blocks, self.limit, self.refusal = blocks, limit, refusal
        self.ranges: list[tuple[int, int]] = []

    async def call(self, _method, request):
        first, last = int(request["fromBlock"], 16), int(request["toBlock"], 16)
        self.ranges.append((first, last))
        if last - first + 1 > self.limit:
            raise self.refusal
        return [
            {
                "address": request["address"][0],
                "topics": ["0x" + "00" * 32],
                "data": "0x",
                "blockNumber": hex(block),
                "logIndex": hex(index),
            }
            for block in sorted(self.blocks)
            if first <= block <= last
            for index in range(self.blocks[block])
        ]


BLOCKS = {1: 2, 5: 1, 6: 3, 700: 1, 999: 4}
REFUSALS = [EndpointRefusedError("range"), EndpointTimeoutError("slow"), AnswerTooLargeError("big")]


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("limit", [1, 7, 100, RANGE_MAX])
async def test_logs_come_whole_whatever_the_endpoint_takes(chain, refusal, limit):
    server = LogServer(BLOCKS, limit, refusal)
    logs = await read_logs(server, [chain.deployment.relay_registry], 1, 1_000)
    assert [(log.block, log.index) for log in logs] == [
        (block, index) for block, total in BLOCKS.items() for index in range(total)
    ]
    given = [r for r in server.ranges if r[1] - r[0] < limit]
    assert [r[0] for r in given[1:]] == [r[1] + 1 for r in given[:-1]]


@pytest.mark.parametrize("error", [EndpointRefusedError("no"), ContractRevertedError("no", b"")])
async def test_an_endpoint_that_gives_no_logs_at_all(chain, error):
    server = LogServer(BLOCKS, 0, error)
    with pytest.raises(EndpointRefusedError):
        await read_logs(server, [chain.deployment.relay_registry], 1, 1_000)
    assert len(server.ranges) < 25


async def test_no_blocks_no_question(chain):
    server = LogServer(BLOCKS, 1, EndpointRefusedError("no"))
    assert await read_logs(server, [chain.deployment.relay_registry], 5, 4) == []
    assert json.dumps(server.ranges) == "[]"
