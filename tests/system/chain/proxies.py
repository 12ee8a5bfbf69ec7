"""Endpoints between a client and a real chain, for the hostile ones of tests/hostile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from peerstream.node.chain.rpc import RpcClient, RpcTiming
from tests.hostile.answers import answer
from tests.hostile.chain_endpoints import Honest


@asynccontextmanager
async def forwarding(devnet) -> AsyncIterator[Honest]:
    """Yield what passes a request on to a devnet."""
    async with httpx2.AsyncClient(timeout=60, trust_env=False) as http:

        async def honest(request: httpx2.Request) -> httpx2.Response:
            headers = {"content-type": "application/json"}
            given = await http.post(devnet.rpc_url, content=request.content, headers=headers)
            return answer(given.content, given.status_code)

        yield honest


def between(handler: Honest, *, own_node: bool = True, timeout_s: float = 5.0) -> RpcClient:
    """Return a client of an endpoint that these answers come from."""
    transport = httpx2.MockTransport(handler)
    timing = RpcTiming(timeout_s=timeout_s, tries=2, backoff_s=0.01)
    name = type(handler).__name__.lower()
    return RpcClient(
        f"http://{name}.example", own_node=own_node, timing=timing, transport=transport
    )
