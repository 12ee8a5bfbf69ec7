"""A reader that reads nothing, so that others store for it ("sniper")."""

import tracemalloc

from peerstream.node.protocol.session.limits import DEFAULT_LIMITS
from peerstream.node.protocol.wire.sizes import CELL_SIZES
from tests.node.protocol.circuit.meeting import Meeting
from tests.node.protocol.circuit.memory_network import MemoryNetwork
from tests.node.protocol.session.test_over_circuits import Call

EIGHT_MB = 8_000_000


def test_all_relays_together_grow_by_less_than_8_mb_while_100_mb_wait(alone):
    """Measured as memory of the whole process: every relay and both ends are in it."""
    network = MemoryNetwork(7)
    listener, joiner = Meeting(network).meet()
    guard_cable = network.cable(joiner.circuit._link)
    guard_cable.blocked.add(joiner.circuit._link)
    waiting = [100_000_000 // CELL_SIZES[2]]

    def pump():
        while waiting[0] and listener.circuit.room():
            listener.send(bytes(CELL_SIZES[2]))
            waiting[0] -= 1

    listener.on_room = pump
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    pump()
    network.run()
    network.advance(5.0)
    grown = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert waiting[0] * CELL_SIZES[2] > 90_000_000
    assert grown < EIGHT_MB
    assert max(relay.pool.lent_bytes for relay in network.relays.values()) < EIGHT_MB


def test_a_service_that_reads_nothing_stops_its_caller_and_nobody_else():
    call = Call()
    stuck, other = call.caller.open_stream("stuck"), call.caller.open_stream("other")
    call.settle()
    taken = 0
    for _ in range(60):
        taken += call.caller.send(stuck, bytes(1_000_000))
        call.settle(1)
    assert taken <= DEFAULT_LIMITS.send_buffer + DEFAULT_LIMITS.stream_window
    assert all(relay.queued() == 0 for relay in call.network.relays.values())
    call.caller.send(other, b"still here")
    call.settle()
    assert call.callee.receive(other, 100) == b"still here"
