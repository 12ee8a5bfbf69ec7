"""Somebody takes an endpoint and reads all that it holds: earlier cells stay closed."""

import gc
from types import FunctionType, ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peerstream.node.protocol.session import events as ev
from peerstream.node.protocol.session.cell import CellOpener
from peerstream.node.protocol.session.errors import ForgedCellError
from peerstream.node.protocol.session.schedule import (
    Direction,
    PathChain,
    next_generation,
)
from peerstream.node.protocol.wire.sizes import CELL_SIZES
from tests.node.protocol.session.joined import Network, secrets

SIZE = CELL_SIZES[0]


def held(root):
    """Every 32 bytes that can be reached from an object, also inside longer ones."""
    seen, found, todo = set(), set(), [root]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, type | ModuleType | FunctionType):
            continue
        seen.add(id(thing))
        if isinstance(thing, bytes | bytearray) and len(thing) in (32, 48, 144):
            found |= {bytes(thing[at : at + 32]) for at in range(0, len(thing) - 31, 16)}
        todo += gc.get_referents(thing)
    return found


def recorded(network):
    """What a tap on the first path hears from now on, by the end it was sent to."""
    heard = {0: [], 1: []}
    post = network.post

    def listen(when, pipe, cell):
        if pipe.number == 0:
            heard[pipe.target].append(cell)
        post(when, pipe, cell)

    network.post = listen
    return heard


def keys_from(key):
    """A key and what follows from it by the ratchet alone."""
    for _ in range(3):
        yield key
        key = next_generation(key)


def opens(key, direction, sequence, cell):
    opener = CellOpener(key, 0, direction)
    opener.sequence = sequence
    try:
        opener.open(memoryview(bytearray(8) + bytearray(cell) + bytearray(16)))
    except ForgedCellError:
        return False
    return True


def talk(network, rounds):
    for _ in range(rounds):
        for end in network.ends:
            end.send_datagram(1, b"secret", life=60.0, now=network.now)
            end.pump(network.now)
        network.run(0.03)


@pytest.fixture
def seizing():
    """A session that talked: both ends, what was heard, and the first key of each direction."""
    network = Network(2)
    heard = recorded(network)
    network.first_path(size=SIZE)
    stream = network.caller.open_stream("open")
    network.caller.send(stream, b"x")
    talk(network, 12)
    return network, heard


def test_the_search_finds_what_is_held(seizing):
    """Before any change of keys the current ones are there, and they open the cells."""
    network, heard = seizing
    for end, inward in zip(network.ends, (Direction.TO_CALLER, Direction.TO_CALLEE), strict=True):
        cells = heard[end is network.callee]
        found = [key for key in held(end) if opens(key, inward, 3, cells[3])]
        assert found == [PathChain(secrets().chains[inward], inward).take(0)]


def test_after_a_rekey_nothing_that_is_held_opens_an_earlier_cell(seizing):
    network, heard = seizing
    before = {target: len(cells) for target, cells in heard.items()}
    network.now += 601.0
    network.run(2.0)
    assert ev.Rekeyed(1) in network.log[0]
    assert ev.Rekeyed(1) in network.log[1]
    talk(network, 3)
    for end in network.ends:
        keys = held(end)
        for direction, target in ((Direction.TO_CALLER, 0), (Direction.TO_CALLEE, 1)):
            for sequence, cell in enumerate(heard[target][: before[target]]):
                for key in keys:
                    assert not any(
                        opens(each, direction, sequence, cell) for each in keys_from(key)
                    )


@given(st.integers(1, 3))
@settings(max_examples=3)
def test_after_256_cells_nothing_that_is_held_opens_the_first_ones(generations):
    network = Network(3)
    heard = recorded(network)
    network.first_path(size=SIZE, room=4_096)
    stream = network.caller.open_stream("open")
    left = generations * 256 * SIZE
    while left > 0:
        left -= network.caller.send(stream, bytes(min(left, 100_000)))
        network.run(0.1)
        network.callee.receive(stream, 1 << 20) if network.log[1] else None
    assert len(heard[1]) > generations * 256
    for end in network.ends:
        keys = held(end)
        for sequence in (0, 1, 255 * (generations - 1)):
            for key in keys:
                assert not any(
                    opens(each, Direction.TO_CALLEE, sequence, heard[1][sequence])
                    for each in keys_from(key)
                )
