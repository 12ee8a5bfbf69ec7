"""A circuit of ours as tasks use it."""

from peerstream.node.roles.circuit import EARLY_CELLS_MAX, OwnedCircuit


def cell(number):
    return memoryview(bytearray([number]) * 32)


def test_cells_that_come_before_a_session_listens_are_not_lost():
    circuit = OwnedCircuit((b"r" * 32,))
    first = cell(1)
    circuit.cell_received(first)
    first[:] = bytes(32)  # the buffer goes back to the pool
    circuit.cell_received(cell(2))
    heard = []
    circuit.listen(lambda buffer: heard.append(bytes(buffer)))
    circuit.cell_received(cell(3))
    assert heard == [bytes(cell(n)) for n in (1, 2, 3)]


def test_whoever_floods_a_circuit_that_nobody_listens_to_loses_it():
    circuit = OwnedCircuit((b"r" * 32,))
    for _ in range(EARLY_CELLS_MAX + 1):
        circuit.cell_received(cell(0))
    assert circuit.ended
    circuit.listen(lambda _: None)
