import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.errors import LocalProtocolError, MalformedError
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.control import (
    MESSAGE_MAX,
    ControlMessage,
    ControlSequenceError,
    ControlTooLongError,
    Reassembler,
    UnknownCommandError,
    pack,
)
from peerstream.node.protocol.wire.sizes import CELL_SIZES, CELL_TAG_SIZE

CAPACITIES = [size - CELL_TAG_SIZE for size in CELL_SIZES]
commands = st.sampled_from(list(Command))


def ones(count):
    return b"\xff" * count


@given(commands, st.binary(max_size=400), st.integers(5, 120))
def test_a_message_survives_in_cells_of_any_size(command, data, capacity):
    bodies = pack(command, data, capacity, ones)
    assert {len(body) for body in bodies} == {capacity}
    reassembler = Reassembler()
    arrived = [message for body in bodies for message in reassembler.feed(body)]
    assert arrived == [ControlMessage(command, data)]


@pytest.mark.parametrize("capacity", CAPACITIES)
@pytest.mark.parametrize("length", [0, 1, 1_004, 1_005, 9_184, MESSAGE_MAX])
def test_the_real_cells_carry_the_real_messages(capacity, length):
    data = bytes(i % 251 for i in range(length))
    reassembler = Reassembler()
    bodies = pack(Command.INTRODUCTION, data, capacity, ones)
    arrived = [message for body in bodies for message in reassembler.feed(memoryview(body))]
    assert arrived == [(Command.INTRODUCTION, data)]


@given(st.lists(st.tuples(commands, st.binary(max_size=60)), max_size=6))
def test_several_messages_in_one_cell_arrive_in_order(messages):
    body = b"".join(
        pack(command, data, 4 + len(data), ones)[0] for command, data in messages if data
    )
    wanted = [(command, data) for command, data in messages if data]
    assert Reassembler().feed(body + b"\0junk") == wanted


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_arbitrary_bytes_give_messages_or_malformed(bodies):
    reassembler = Reassembler()
    for body in bodies:
        try:
            messages = reassembler.feed(body)
        except MalformedError:
            return
        assert all(isinstance(message.command, Command) for message in messages)


@given(st.binary(max_size=20), st.lists(commands, min_size=1, max_size=5), st.booleans())
def test_almost_messages_give_messages_or_malformed(tail, sequence, more):
    reassembler = Reassembler()
    for command in sequence:
        try:
            reassembler.feed(bytes((command, more, 0, len(tail))) + tail + b"\0")
        except MalformedError:
            return


def test_a_message_that_never_ends_is_cut_at_the_bound():
    reassembler = Reassembler()
    piece = bytes((Command.DIR_PUT, 1)) + (1_000).to_bytes(2, "big") + bytes(1_000)
    for _ in range(MESSAGE_MAX // 1_000):
        assert reassembler.feed(piece) == []
    with pytest.raises(ControlTooLongError):
        reassembler.feed(piece)


MORE = bytes((Command.ECHO, 1, 0, 1, 9))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (MORE, bytes((Command.CLOSE, 0, 0, 0))),
        (MORE, b"\0"),
        (MORE, b""),
        (MORE + bytes((Command.ECHO, 0, 0, 0)), b""),
    ],
)
def test_a_piece_in_the_wrong_place_is_a_sequence_error(first, second):
    with pytest.raises(ControlSequenceError):
        _feed_all(first, second)


def test_unknown_commands_and_flags_are_refused():
    with pytest.raises(UnknownCommandError):
        Reassembler().feed(bytes((255, 0, 0, 0)))
    with pytest.raises(MalformedError):
        Reassembler().feed(bytes((Command.ECHO, 2, 0, 0)))


def test_our_own_message_must_fit():
    with pytest.raises(LocalProtocolError):
        pack(Command.ECHO, bytes(MESSAGE_MAX + 1), 1_008, ones)
    with pytest.raises(LocalProtocolError):
        pack(Command.ECHO, b"", 4, ones)


def _feed_all(*bodies):
    reassembler = Reassembler()
    for body in bodies:
        reassembler.feed(body)
