"""All logs of whole contracts, in pieces that the endpoint is willing to give (SPEC 8.4)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from peerstream.identity.address import Address
from peerstream.node.chain.errors import (
    AnswerTooLargeError,
    EndpointRefusedError,
    EndpointTimeoutError,
)
from peerstream.node.chain.events import Log
from peerstream.node.chain.quantities import read_list, refuse
from peerstream.node.chain.rpc import ContractRevertedError, RpcClient

RANGE_MAX: Final = 262_144  # blocks for one question, of which the patience is bounded


async def read_logs(
    client: RpcClient, contracts: Sequence[Address], first: int, last: int, topic: bytes = b""
) -> list[Log]:
    """Return the logs of the blocks first..last in their order on the chain.

    topic: of one event, 32 bytes; all events without it.

    An endpoint that refuses a range is asked for half of it. Raises EndpointError, as a subclass.
    """
    logs: list[Log] = []
    size = RANGE_MAX
    while first <= last:
        until = min(first + size - 1, last)
        try:
            part = await _read_range(client, contracts, first, until, topic)
        except (EndpointRefusedError, EndpointTimeoutError, AnswerTooLargeError) as error:
            if until == first or isinstance(error, ContractRevertedError):
                raise
            size = max(1, (until - first + 1) // 2)
            continue
        logs += _ordered(part, contracts, first, until)
        if topic and any(log.topics[0] != topic for log in logs):
            refuse("logs of an event that was not asked for")
        first, size = until + 1, min(2 * size, RANGE_MAX)
    return logs


async def _read_range(
    client: RpcClient, contracts: Sequence[Address], first: int, last: int, topic: bytes
) -> list[Any]:
    request: dict[str, Any] = {
        "address": [str(contract) for contract in contracts],
        "fromBlock": hex(first),
        "toBlock": hex(last),
    }
    if topic:
        request["topics"] = ["0x" + topic.hex()]
    return read_list(await client.call("eth_getLogs", request))


def _ordered(part: Sequence[Any], contracts: Sequence[Address], first: int, last: int) -> list[Log]:
    logs = [Log.read(item) for item in part]
    ours = {contract.raw for contract in contracts}
    if any(log.contract not in ours or not first <= log.block <= last for log in logs):
        refuse("logs that were not asked for")
    places = [(log.block, log.index) for log in logs]
    if any(a >= b for a, b in pairwise(places)):
        refuse("logs out of order, or one twice")
    return logs
