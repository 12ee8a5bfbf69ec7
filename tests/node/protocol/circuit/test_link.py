"""A link and a neighbour that does as it likes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.circuit.errors import (
    BadSetupsError,
    CircuitIdError,
    HelloMissingError,
    HelloRepeatedError,
    LinkFullError,
    LinkStuckError,
    NeighbourSilentError,
    UnexpectedPongError,
    UnexpectedReplyError,
    UnexpectedSetupError,
    UnknownCircuitError,
)
from peerstream.node.protocol.circuit.leg import INITIAL_CREDITS
from peerstream.node.protocol.circuit.limits import LinkLimits
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.errors import MalformedError, RemoteProtocolError, VersionError
from peerstream.node.protocol.wire.frames import (
    HEADER,
    FrameError,
    FrameType,
    Hello,
    encode_credit,
    encode_destroy,
    encode_frame,
)
from peerstream.node.protocol.wire.sizes import CELL_SIZES, REPLY_SIZE, SETUP_SIZE
from peerstream.node.protocol.wire.status import Status
from peerstream.node.protocol.wire.version import VersionRange
from tests.node.protocol.circuit.lone_link import (
    CELL,
    HELLO,
    THEIRS,
    Circuit,
    cell,
    listener,
    opened,
    sent,
    setup,
)
from tests.node.protocol.circuit.memory_network import GENEROUS, MemoryNetwork

BREACHES = {
    "bytes before HELLO": (False, cell(), HelloMissingError),
    "SETUP before HELLO": (False, setup(), HelloMissingError),
    "HELLO twice": (True, HELLO, HelloRepeatedError),
    "unknown type": (True, HEADER.pack(0, 99, 0, 0), FrameError),
    "unknown flags": (True, HEADER.pack(THEIRS, 3, 1, CELL), FrameError),
    "a SETUP too long": (True, HEADER.pack(THEIRS, 1, 0, SETUP_SIZE + 1), FrameError),
    "a cell of no class": (True, HEADER.pack(THEIRS, 3, 0, 17), FrameError),
    "an oversized HELLO": (False, HEADER.pack(0, 6, 0, 0xFFFF), FrameError),
    "a cell without circuit": (True, HEADER.pack(0, 3, 0, CELL), FrameError),
    "a cell of a circuit never opened": (True, cell(), UnknownCircuitError),
    "CREDIT of a circuit never opened": (
        True,
        encode_frame(THEIRS, FrameType.CREDIT, encode_credit(9)),
        UnknownCircuitError,
    ),
    "DESTROY of a circuit of ours": (
        True,
        encode_frame(1, FrameType.DESTROY, encode_destroy(Status.CLOSED)),
        UnknownCircuitError,
    ),
    "a SETUP with an id of ours": (True, setup(1), CircuitIdError),
    "the same id twice": (True, setup() + setup(), CircuitIdError),
    "ids that go down": (True, setup(THEIRS + 5) + setup(THEIRS + 4), CircuitIdError),
    "a REPLY never asked for": (
        True,
        encode_frame(1, FrameType.REPLY, bytes(REPLY_SIZE)),
        UnknownCircuitError,
    ),
    "a REPLY to their own SETUP": (
        True,
        setup() + encode_frame(THEIRS, FrameType.REPLY, bytes(REPLY_SIZE)),
        UnexpectedReplyError,
    ),
    "a PONG to no PING": (
        True,
        encode_frame(0, FrameType.PONG, bytes(7) + b"\x09"),
        UnexpectedPongError,
    ),
    "a DESTROY that tells too much": (
        True,
        setup() + encode_frame(THEIRS, FrameType.DESTROY, bytes([Status.REPLAY, 0, 0, 0])),
        MalformedError,
    ),
    "padding of no class": (
        True,
        encode_frame(0, FrameType.PADNEG, b"\0\0\0\0\0\0\x09\0"),
        MalformedError,
    ),
    "no common version": (
        False,
        encode_frame(0, FrameType.HELLO, Hello(VersionRange(7, 9), 0, 0, 0, 1).encode()),
        VersionError,
    ),
}


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("name", BREACHES)
def test_each_breach_has_its_error_and_closes_the_link(name, cut):
    greeted, data, error = BREACHES[name]
    link, _ = listener(greeted=greeted)
    link.on_setup = lambda link, circuit_id, _frame: link.register(
        circuit_id, Circuit(), cell_class=2, real_time=False
    )
    pieces = [data[i : i + 1000] for i in range(0, len(data), 1000)] if cut else [data]

    def feed():
        for piece in pieces:
            link.receive_data(piece, 0.0)

    with pytest.raises(error) as caught:
        feed()
    assert type(caught.value) is error
    assert link.closed
    assert link.breaches == {error.__name__: 1}
    link.receive_data(HELLO, 1.0)  # what still comes is nobody's
    assert not link.has_output


def test_an_impossible_header_is_refused_before_its_body_is_stored():
    link, _ = listener()
    header = HEADER.pack(0, 6, 0, 0xFFFF)
    for byte in header[:-1]:
        link.receive_data(bytes([byte]), 0.0)
    with pytest.raises(FrameError):
        link.receive_data(header[-1:], 0.0)


def test_a_node_that_relays_nothing_takes_no_setup():
    link, _ = listener(relays=False)
    with pytest.raises(UnexpectedSetupError):
        link.receive_data(setup(), 0.0)


@given(st.binary(max_size=300), st.booleans())
def test_garbage_gives_named_errors_only(data, greeted):
    link, _ = listener(greeted=greeted)
    try:
        link.receive_data(data, 0.0)
    except RemoteProtocolError:
        assert link.closed


@given(st.lists(st.sampled_from(sorted(BREACHES)), max_size=4), st.randoms(use_true_random=False))
def test_mutated_frames_give_named_errors_only(names, chance):
    link, _ = listener()
    data = bytearray(b"".join(BREACHES[name][1] for name in names))
    for _ in range(min(len(data), 3)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    try:
        link.receive_data(data, 0.0)
    except RemoteProtocolError:
        assert link.closed


def test_cells_arrive_whole_however_they_are_cut():
    for size in (1, 7, 8, 9, 1000, CELL, CELL + 8, 2 * CELL, 100_000):
        link, _ = listener()
        circuit, _ = opened(link)
        stream = b"".join(cell(byte=number) for number in range(6))
        for start in range(0, len(stream), size):
            link.receive_data(stream[start : start + size], 0.0)
        assert circuit.cells == [bytes([number]) * CELL for number in range(6)]


def test_a_byte_at_a_time_costs_a_copy_of_each_byte_only():
    link, _ = listener()
    opened(link, cell_class=3)
    frame = cell(size=CELL_SIZES[3])
    for byte in memoryview(frame)[:-1]:
        link.receive_data(bytes([byte]), 0.0)
    assert len(link._tail) == len(frame) - 1


def test_cells_beyond_the_credit_end_the_circuit_and_not_the_link():
    link, _ = listener()
    circuit, _ = opened(link)
    healthy, _ = opened(link, THEIRS + 1)
    for _ in range(INITIAL_CREDITS[2]):
        link.receive_data(cell(), 0.0)
    assert len(circuit.cells) == INITIAL_CREDITS[2]
    link.receive_data(cell() + cell(THEIRS + 1), 0.0)
    assert circuit.ends == [Status.FLOW]
    assert (THEIRS, FrameType.DESTROY, bytes([Status.FLOW, 0, 0, 0])) in sent(link)
    assert link.breaches == {"CreditExceededError": 1}
    assert len(healthy.cells) == 1
    link.receive_data(cell(), 0.0)  # in flight when we destroyed it
    assert not link.closed


def test_a_cell_of_another_class_ends_the_circuit():
    link, _ = listener()
    circuit, _ = opened(link)
    link.receive_data(cell(size=CELL_SIZES[0]), 0.0)
    assert circuit.ends == [Status.PROTO]
    assert link.breaches == {"CellSizeError": 1}


def test_credits_are_cumulative_and_idempotent():
    link, _ = listener()
    circuit, leg = opened(link)
    start = INITIAL_CREDITS[2]
    for _ in range(start + 10):
        leg.push(link.pool.take(CELL))
    assert len(sent(link)) == start
    assert leg.room() == 0
    for total in (start + 4, start + 4, start - 3, start + 4):
        link.receive_data(encode_frame(THEIRS, FrameType.CREDIT, encode_credit(total)), 0.0)
    assert len(sent(link)) == 4
    assert circuit.rooms == 1
    assert leg.sent == start + 4


def test_a_grant_goes_out_when_half_a_window_has_gone():
    link, _ = listener()
    _, leg = opened(link)
    window = INITIAL_CREDITS[2]
    for _ in range(window):
        link.receive_data(cell(), 0.0)
    assert not sent(link)
    for _ in range(window // 2 - 1):
        leg.release()
    assert not sent(link)
    leg.release()
    assert sent(link) == [(THEIRS, FrameType.CREDIT, encode_credit(window + window // 2))]


def test_a_longer_round_trip_widens_the_window_at_the_first_cell():
    link, _ = listener()
    link.credit_scale = 4.0
    _, leg = opened(link)
    link.receive_data(cell(), 0.0)
    leg.release()
    assert sent(link) == [(THEIRS, FrameType.CREDIT, encode_credit(1 + 4 * INITIAL_CREDITS[2]))]


def test_real_time_windows_are_short():
    link, _ = listener()
    _, leg = opened(link, real_time=True)
    assert leg.granted == 128 * 1024 // CELL


def test_clients_may_open_512_circuits_and_a_burst_of_setups():
    limits = LinkLimits.for_client()
    link, setups = listener(limits)
    for number in range(50):
        link.receive_data(setup(THEIRS + number), 0.0)
    assert len(setups) == 40
    refused = [frame for frame in sent(link) if frame[1] is FrameType.DESTROY]
    assert len(refused) == 10
    link, setups = listener(limits)
    for number in range(520):
        link.receive_data(setup(THEIRS + number), float(number))
        if setups and setups[-1] == THEIRS + number:
            link.register(THEIRS + number, Circuit(), cell_class=2, real_time=False)
    assert len(setups) == link.circuits == 512


def test_three_bad_setups_of_a_client_close_its_link():
    link, _ = listener(LinkLimits.for_client())
    link.on_setup = lambda link, circuit_id, _frame: link.reject_setup(circuit_id)
    link.receive_data(setup(THEIRS), 0.0)
    link.receive_data(setup(THEIRS + 1), 11.0)
    link.receive_data(setup(THEIRS + 2), 12.0)
    assert not link.closed
    with pytest.raises(BadSetupsError):
        link.receive_data(setup(THEIRS + 3), 13.0)


def test_relays_pass_on_what_their_clients_made():
    link, _ = listener(LinkLimits.for_relay())
    link.on_setup = lambda link, circuit_id, _frame: link.reject_setup(circuit_id)
    for number in range(20):
        link.receive_data(setup(THEIRS + number), 0.0)
    assert not link.closed


def test_we_open_no_more_circuits_than_the_neighbour_takes():
    link = Link(dialer=True, peer=b"r" * 32, limits=GENEROUS, now=0.0)
    link.receive_data(
        encode_frame(0, FrameType.HELLO, Hello(VersionRange(1, 1), 0, 0, 0, 2).encode()), 0.0
    )
    for _ in range(2):
        link.register(link.open_circuit_id(), Circuit(), cell_class=0, real_time=False)
    with pytest.raises(LinkFullError):
        link.open_circuit_id()


def test_closing_ends_every_circuit_once():
    link, _ = listener()
    circuits = [opened(link, THEIRS + number)[0] for number in range(3)]
    link.close()
    link.close()
    assert [circuit.ends for circuit in circuits] == [[Status.CLOSED]] * 3
    assert not link.has_output


def test_a_neighbour_that_answers_nothing_is_gone_after_two_pings():
    link, _ = listener()
    link.receive_data(HEADER.pack(0, FrameType.PADDING, 0, 0), 1.0)
    link.tick(1.0)  # measures the round trip
    ping = sent(link)[0]
    assert ping[1] is FrameType.PING
    link.receive_data(encode_frame(0, FrameType.PONG, ping[2]), 1.25)
    assert link.round_trip == 0.25
    for quarter in range(8, 400):
        link.tick(quarter / 4)
    assert not sent(link)  # nothing is outstanding: no PING
    circuit, leg = opened(link)
    leg.push(link.pool.take(CELL))
    assert sent(link)
    start = link.now
    while not link.closed:
        link.tick(link.now + 0.25)
        assert link.now < start + 5
    assert isinstance(link.failure, NeighbourSilentError)
    assert circuit.ends == [Status.CLOSED]


def test_pings_of_two_idle_sides_come_to_rest():
    network = MemoryNetwork(1)
    network.connect_relays(network.relay(), network.relay())
    network.run()
    network.advance(5.0)
    before = network.cables[0].carried
    network.advance(60.0)
    assert network.cables[0].carried == before


@pytest.mark.parametrize(("carried", "asked_after"), [(CELL_SIZES[0], 1.0), (0, 2.5)])
def test_a_watched_neighbour_is_asked_sooner_when_cells_came_and_stopped(carried, asked_after):
    """Padding of that size counts as well: both look alike to whoever watches."""
    link, _ = listener()
    link.watched = True
    link.receive_data(encode_frame(0, FrameType.PADDING, bytes(carried)), 0.0)
    quiet = asked_after - 0.25
    link.tick(0.0)  # the first PING measures the round trip
    measuring = sent(link)
    assert [kind for _, kind, _ in measuring] == [FrameType.PING]
    link.receive_data(encode_frame(0, FrameType.PONG, measuring[0][2]), 0.0)
    link.receive_data(encode_frame(0, FrameType.PADDING, bytes(carried)), 0.0)
    link.tick(quiet)
    assert sent(link) == []
    link.tick(asked_after)
    [(_, kind, body)] = sent(link)
    assert kind is FrameType.PING
    link.receive_data(encode_frame(0, FrameType.PONG, body), asked_after)
    link.tick(asked_after + 2.25)
    assert sent(link) == []  # it answered: no more than any that rests
    link.tick(asked_after + 2.75)
    assert len(sent(link)) == 1


def test_a_neighbour_that_reads_no_answers_is_closed():
    link, _ = listener()
    ping = encode_frame(0, FrameType.PING, bytes(8))
    for _ in range(300):
        link.receive_data(ping * 1000, 0.0)
    link.tick(0.5)
    assert isinstance(link.failure, LinkStuckError)


def test_budgets_are_kept_and_one_large_cell_still_goes():
    link, _ = listener()
    _, leg = opened(link)
    for _ in range(12):
        leg.push(link.pool.take(CELL))
    sizes = []
    while parts := link.data_to_send(65_507):
        sizes.append(sum(map(len, parts)))
    assert sizes == [4 * (CELL + 8)] * 3
    leg.push(link.pool.take(CELL))
    assert sum(map(len, link.data_to_send(10))) == CELL + 8


def test_output_is_announced_once_until_it_is_fetched():
    link, _ = listener()
    calls = []
    link.on_output = calls.append
    _, leg = opened(link)
    for _ in range(3):
        leg.push(link.pool.take(CELL))
    assert calls == [link]
    link.data_to_send(CELL)
    leg.push(link.pool.take(CELL))
    assert calls == [link]
    link.data_to_send(1 << 20)
    leg.push(link.pool.take(CELL))
    assert calls == [link, link]


def test_sent_buffers_are_used_again():
    link, _ = listener()
    _, leg = opened(link)
    seen = set()
    for _ in range(20):
        buffer = link.pool.take(CELL)
        seen.add(id(buffer.obj))
        leg.push(buffer)
        link.data_to_send(1 << 20)
    assert len(seen) <= 2
