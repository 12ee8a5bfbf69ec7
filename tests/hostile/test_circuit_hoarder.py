"""A client that opens circuits and lets them lie, until its relay has all that it may have."""

from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.circuit.memory_network import MemoryNetwork

PLACES, HOARDED = 64, 200


def test_whoever_lets_circuits_lie_keeps_nobody_out_and_takes_nothing_that_is_used():
    network = MemoryNetwork(71)
    relay = network.relay()
    object.__setattr__(relay.core._parts, "circuits_max", PLACES)
    honest = network.client().circuit([relay])
    network.run()
    hoarder = network.client()
    hoarded = []
    for number in range(HOARDED):
        hoarded.append(hoarder.circuit([relay]))
        network.run()
        network.advance(1.0)
        if number % 20 == 0:
            honest.circuit.send_control(Command.ECHO, b"in use")
            network.run()
            assert len(honest.take(Command.RESULT)) == number // 20 + 1
    assert relay.core.circuits == PLACES
    assert honest.reason is None
    newcomer = network.client().circuit([relay])
    network.run()
    assert newcomer.message == b""
    gone = [owner.reason for owner in hoarded if owner.reason is not None]
    assert set(gone) == {Status.LIMIT}
    assert all(owner.reason is not None for owner in hoarded[: len(gone)])  # the oldest ones
