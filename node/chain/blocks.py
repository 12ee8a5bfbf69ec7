"""Blocks by number, by tag and by time (SPEC 8.5)."""

from peerstream.node.chain.errors import EndpointsDisagreeError, MalformedAnswerError
from peerstream.node.chain.quantities import Header
from peerstream.node.chain.rpc import RpcClient


async def read_header(client: RpcClient, tag: str) -> Header:
    """Return the header of a block by number or tag. Raises EndpointError, as a subclass."""
    answer = await client.call("eth_getBlockByNumber", tag, False)
    if answer is None:
        raise MalformedAnswerError(f"{client.name} has no block {tag}")
    return Header.read(answer)


async def first_block_since(client: RpcClient, since: int, last: Header) -> Header:
    """Return the first block of the chain whose timestamp is at least `since` (unix seconds).

    last: a block that is not before it. Where the chain begins later, that is its first block.
    Raises EndpointError, as a subclass, and EndpointsDisagreeError for blocks that do not fit.
    """
    low, high = 0, last.number
    found = last
    while low < high:
        middle = (low + high) // 2
        header = await _numbered(client, middle)
        if header.timestamp >= since:
            high, found = middle, header
        else:
            low = middle + 1
    if found.number:
        before = await _numbered(client, found.number - 1)
        if before.hash != found.parent or before.timestamp >= since:
            raise EndpointsDisagreeError(f"{client.name}: blocks that do not follow each other")
    return found


async def _numbered(client: RpcClient, number: int) -> Header:
    header = await read_header(client, hex(number))
    if header.number != number:
        raise MalformedAnswerError(f"{client.name} gave another block than {number}")
    return header
