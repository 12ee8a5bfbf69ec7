"""Two real sessions over fake circuits: what arrives, what does not, and what is told."""

import pytest

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.session import events as ev
from peerstream.node.protocol.session.limits import DEFAULT_LIMITS, SessionLimits
from peerstream.node.protocol.session.state import TRANSITIONS, State
from peerstream.node.protocol.wire.sizes import CELL_SIZES
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.session.joined import Network
from tests.node.protocol.session.transfer import Transfer, payload


@pytest.mark.parametrize("cell_class", [0, 1, 2, 3])
@pytest.mark.parametrize("sender", [0, 1])
def test_a_file_arrives_equal_and_ends(cell_class, sender):
    network = Network()
    network.first_path(size=CELL_SIZES[cell_class])
    transfer = Transfer(network, payload(700_001), sender)
    transfer.run()
    network.run(0.1)
    assert transfer.got == transfer.body
    assert ev.StreamEnded(transfer.stream) in network.log[1 - sender]


def test_streams_share_a_session_and_half_close():
    network = Network()
    network.first_path()
    number = network.caller.open_stream("echo")
    network.caller.send(number, b"question")
    network.caller.send_end(number)
    network.run(0.1)
    assert network.log[1][:2] == [ev.StreamOpened(number, "echo"), ev.Readable(number)]
    assert network.callee.receive(number, 100) == b"question"
    network.run(0.01)
    assert ev.StreamEnded(number) in network.log[1]
    network.callee.accept_stream(number)
    network.callee.send(number, b"answer")
    network.callee.send_end(number)
    network.run(0.1)
    assert ev.StreamAccepted(number) in network.log[0]
    assert network.caller.receive(number, 100) == b"answer"
    network.run(0.1)
    assert len(network.caller._streams) == len(network.callee._streams) == 0
    with pytest.raises(LocalProtocolError):
        network.caller.send(99, b"never opened")
    assert network.caller.send(number, b"closed") == 0


def test_reset_reaches_the_other_side_and_frees_both():
    network = Network()
    network.first_path()
    number = network.caller.open_stream("files")
    network.caller.send(number, bytes(100_000))
    network.run(0.05)
    network.callee.reset(number, Status.NO_SERVICE)
    network.run(0.1)
    assert ev.StreamReset(number, Status.NO_SERVICE) in network.log[0]
    assert len(network.caller._streams) == len(network.callee._streams) == 0
    assert network.caller.failure is None
    assert network.callee.failure is None


def test_what_came_before_an_authentic_end_outlives_the_reset_behind_it():
    """Who answers and is through gives the stream up; the reader may be slower than that."""
    network = Network()
    network.first_path()
    number = network.caller.open_stream("web")
    network.run(0.05)
    network.callee.send(number, b"answer")
    network.callee.send_end(number)
    network.run(0.1)
    network.callee.reset(number, Status.CLOSED)
    network.run(0.1)
    assert network.log[0][-1] == ev.SendingStopped(number, Status.CLOSED)
    assert network.caller.send(number, b"more") == 0
    assert network.caller.receive(number, 2) == b"an"
    assert network.caller.receive(number, 100) == b"swer"
    network.run(0.1)
    assert network.log[0][-1] == ev.StreamEnded(number)
    assert len(network.caller._streams) == len(network.callee._streams) == 0
    assert network.caller.failure is network.callee.failure is None


def test_a_reset_behind_bytes_without_an_end_takes_them_along():
    network = Network()
    network.first_path()
    number = network.caller.open_stream("web")
    network.run(0.05)
    network.callee.send(number, b"answer")
    network.run(0.1)
    network.callee.reset(number, Status.CLOSED)
    network.run(0.1)
    assert network.log[0][-1] == ev.StreamReset(number, Status.CLOSED)
    assert network.caller.receive(number, 100) == b""


@pytest.mark.parametrize("end", [0, 1])
def test_a_reset_in_the_middle_of_sending_leaves_other_streams_alone(end):
    """Either end gives up a stream with bytes to send, while another has its turn first."""
    network = Network()
    network.first_path(room=4)
    doomed, other = network.caller.open_stream("files"), network.caller.open_stream("files")
    for stream in (doomed, other):
        network.caller.send(stream, bytes(200_000))
    network.run(0.015)
    network.ends[end].reset(doomed)
    network.run(0.015)
    network.caller.send(other, bytes(1_000))
    got = 0
    while got < 201_000:
        network.run(0.1)
        data = network.callee.receive(other, 1_000_000)
        assert data
        got += len(data)


def test_a_slow_reader_bounds_memory_on_both_sides():
    limits = SessionLimits(send_buffer=300_000)
    network = Network(limits=(limits, limits))
    network.first_path()
    number = network.caller.open_stream("files")
    sent = 0
    for _ in range(50):
        sent += network.caller.send(number, bytes(100_000))
        network.run(0.05)
    half = network.callee._streams._table[number].receive
    assert half.available <= limits.stream_window
    assert network.caller._streams.buffered <= limits.send_buffer
    assert sent <= limits.send_buffer + limits.stream_window
    while sent:
        sent -= len(network.callee.receive(number, 50_000))
        network.run(0.1)
    assert ev.Writable(number) in network.log[0]


def test_a_long_path_is_filled():
    """A reader takes 64 KiB at a time of what comes in bursts; what is under way has to be kept."""
    network = Network()
    network.first_path(delay=0.15, jitter=0.0, room=2_000)
    number, most, read = network.caller.open_stream("files"), 0, 0
    half = network.caller._streams._table[number].send
    for _ in range(400):
        while network.caller.send(number, bytes(100_000)):
            assert half.unsent <= DEFAULT_LIMITS.send_ahead
        network.run(0.02)
        most = max(most, half.buffered - half.unsent)
        if any(isinstance(event, ev.StreamOpened) for event in network.log[1]):
            while data := network.callee.receive(number, 65_536):
                read += len(data)
    assert 7_000_000 < most <= DEFAULT_LIMITS.send_buffer
    assert read > 100_000_000  # in 8 s; 4 MiB a round trip would be as much in all


def test_streams_above_the_limit_are_refused_by_name():
    limits = SessionLimits(streams=3)
    network = Network(limits=(limits, limits))
    network.first_path()
    numbers = [network.caller.open_stream("files") for _ in range(5)]
    network.run(0.1)
    refused = [e.stream for e in network.log[0] if isinstance(e, ev.StreamReset)]
    assert refused == numbers[3:]
    assert network.callee.failure is None


def test_an_idle_session_ends_and_the_other_side_hears_why():
    network = Network()
    network.first_path()
    network.run(700.0)
    ends = [network.log[0][-1], network.log[1][-1]]
    assert all(isinstance(e, ev.SessionClosed) and e.code is Status.IDLE for e in ends)


def test_close_reaches_the_peer():
    network = Network()
    network.first_path()
    network.caller.close(Status.FINISHED, network.now)
    network.run(0.1)
    assert network.log[0] == [ev.SessionClosed(Status.FINISHED, by_peer=False)]
    assert network.log[1] == [ev.SessionClosed(Status.FINISHED, by_peer=True)]


def test_the_caller_is_verified_by_its_first_cell():
    proof = bytes(range(32))
    network = Network(proof=(proof, proof))
    network.first_path()
    assert not network.callee.verified
    number = network.caller.open_stream("files")
    network.caller.send(number, b"x")
    network.run(0.1)
    assert network.log[1][:2] == [ev.CallerVerified(), ev.StreamOpened(number, "files")]
    assert network.callee.verified


def test_an_anonymous_caller_is_never_verified():
    network = Network()
    network.first_path()
    network.caller.open_stream("files")
    network.run(0.1)
    assert network.caller.verified
    assert not network.callee.verified
    network.kill(0)
    network.resume(network.next_path())
    network.run(0.1)
    assert network.callee.state is State.OPEN
    assert not network.callee.verified


@pytest.mark.parametrize("shown", [None, bytes(32)])
def test_no_proof_or_a_wrong_one_ends_the_session(shown):
    network = Network(proof=(shown, bytes(range(32))))
    network.first_path()
    network.caller.open_stream("files")
    network.run(0.1)
    assert network.log[1][-1] == ev.SessionClosed(Status.AUTH_FAILED, by_peer=False)
    assert network.log[0][-1] == ev.SessionClosed(Status.AUTH_FAILED, by_peer=True)
    assert not any(isinstance(e, ev.StreamOpened) for e in network.log[1])


def test_datagrams_arrive_or_are_too_late():
    network = Network()
    network.first_path(room=4)
    bodies = [payload(size, size) for size in (0, 10, 900, 20_000, 100_000)]
    for body in bodies:
        assert network.caller.send_datagram(7, body, life=0.5, now=network.now)
    network.run(0.3)
    got = [e.data for e in network.log[1] if isinstance(e, ev.DatagramReceived)]
    assert sorted(got, key=len) == bodies
    network.paths[0][0].limit = 0
    assert network.caller.send_datagram(7, b"late", life=0.02, now=network.now)
    network.run(0.1)
    network.paths[0][0].limit = 4
    network.run(0.1)
    assert b"late" not in [e.data for e in network.log[1] if isinstance(e, ev.DatagramReceived)]


def test_every_state_can_be_left_and_closed_is_final():
    assert all(state is not State.CLOSED for state, _ in TRANSITIONS)
    assert {state for state, _ in TRANSITIONS} == set(State) - {State.CLOSED}


def test_secrets_are_not_shown():
    network = Network()
    network.first_path()
    shown = repr(network.caller) + repr(network.caller._paths) + repr(network.log)
    assert network.caller.resume_key.hex() not in shown


def test_early_data_continue_as_stream_1():
    network = Network()
    network.first_path()
    assert network.callee.early_stream("web", 4, b"GET /") == 1
    assert network.caller.early_stream("web", 5, b"200 ") == 1
    network.caller.send(1, b" more")
    network.callee.send(1, b"and so on")
    network.callee.send_end(1)
    network.run(0.1)
    assert network.log[1][:2] == [ev.StreamOpened(1, "web"), ev.Readable(1)]
    assert network.callee.receive(1, 100) == b"GET / more"
    assert network.caller.receive(1, 100) == b"200 and so on"
    network.pump()
    assert ev.StreamEnded(1) in network.log[0]
    assert network.caller.open_stream("web") == 3
    for end in network.ends:
        with pytest.raises(LocalProtocolError):
            end.early_stream("web", 0, b"")


def test_contacts_tickets_and_refused_offers_arrive():
    network = Network()
    network.first_path()
    network.caller.send_contact(b"a contact secret")
    network.callee.send_tickets((bytes(48), b"t" * 48))
    number = network.caller.allocate_path()
    network.offer(number)
    network.run(0.1)
    assert ev.ContactReceived(b"a contact secret") in network.log[1]
    assert ev.TicketsReceived((bytes(48), b"t" * 48)) in network.log[0]
    assert network.was_offered(number)
    network.callee.refuse_path(number, Status.NO_SAFE_PATH)
    network.run(0.1)
    assert ev.PathClosed(number, Status.NO_SAFE_PATH) in network.log[0]
    for tickets in ((), (bytes(47),), (bytes(48),) * 5):
        with pytest.raises(LocalProtocolError):
            network.caller.send_tickets(tickets)


def test_a_window_stays_until_half_of_it_was_taken():
    """However often the reader comes: one that stops then has told the sender of no more."""
    limits = SessionLimits(stream_window=40_000, window_max=640_000)
    network = Network(limits=(limits, limits))
    network.first_path()
    number = network.caller.open_stream("files")
    for _ in range(19):
        network.caller.send(number, bytes(1_000))
        network.run(0.02)
        assert len(network.callee.receive(number, 1_000)) == 1_000
    half = network.callee._streams._table[number].receive
    assert (half.window, half.granted) == (40_000, 40_000)
    network.caller.send(number, bytes(1_000))
    network.run(0.02)
    network.callee.receive(number, 1_000)
    assert half.granted > 40_000


def test_windows_grow_for_a_reader_that_keeps_up_and_within_the_budget():
    limits = SessionLimits(stream_window=40_000, window_max=160_000, receive_budget=250_000)
    network = Network(limits=(limits, limits))
    network.first_path(delay=0.002, jitter=0.0)
    transfers = [Transfer(network, payload(900_000, seed)) for seed in range(2)]
    for _ in range(400):
        for transfer in transfers:
            transfer.push()
        network.run(0.002)
        for transfer in transfers:
            if any(e.stream == transfer.stream for e in transfer.opened()):
                transfer.pull()
        windows = [s.receive.window for s in network.callee._streams._table.values()]
        assert sum(windows) <= 250_000
        if all(transfer.done for transfer in transfers):
            break
        grown = max(windows, default=0)
    assert all(transfer.done for transfer in transfers)
    assert grown == 160_000
