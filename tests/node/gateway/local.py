"""Local programs on loopback for tests, and the caller's end of an exposed service."""

from contextlib import asynccontextmanager

import trio

from peerstream.node.gateway.exposing import ExposedService
from peerstream.node.gateway.service_spec import ServiceSpec
from peerstream.node.ports import StreamError
from tests.node.services.memory_streams import CALLEE, CALLER, memory_stream_pair

PATIENCE_S = 15


@asynccontextmanager
async def program(serve):
    """A TCP program that serves each connection by `serve`; gives its port."""
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def free_port():
    """A port of loopback at which nobody listens."""
    with trio.socket.socket() as probe:
        probe._sock.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Lines:
    """An access log in memory."""

    def __init__(self):
        self.lines = []

    def note(self, service, peer, outcome, **values):
        caller = None if peer.address is None else str(peer.address)
        self.lines.append({"service": service, "caller": caller, "outcome": outcome, **values})


def exposed(target, *, contacts=(), log=None, **table):
    spec = ServiceSpec.of_table({"name": "web", "target": str(target), **table})
    return ExposedService(spec, CALLEE, lambda account: account in contacts, log)


@asynccontextmanager
async def called(service, *, caller=CALLER, patience_s=PATIENCE_S):
    """Call an exposed service; gives the caller's end and the callee's."""
    ours, theirs = memory_stream_pair(caller=caller, service=service.spec.name)
    with trio.fail_after(patience_s):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve, service, theirs)
            yield ours, theirs
            nursery.cancel_scope.cancel()


async def _serve(service, stream):
    """Do what a node does around a handler (SPEC 10.7)."""
    try:
        await service.handle(stream)
    except StreamError:
        stream.reset()
    else:
        await stream.aclose()


async def read_all(stream):
    found = b""
    while data := await stream.receive():
        found += data
    return found
