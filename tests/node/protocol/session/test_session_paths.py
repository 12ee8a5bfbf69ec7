"""The paths under a session: what is lost with one, what takes its place, what changes keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.session import events as ev
from peerstream.node.protocol.session.multipath import Scheduling
from peerstream.node.protocol.session.state import State
from peerstream.node.protocol.wire.sizes import CELL_SIZES
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.session.joined import Network
from tests.node.protocol.session.transfer import Transfer, kill_during, payload


@given(seed=st.integers(0, 2**32), when=st.integers(0, 60), scheduling=st.sampled_from(Scheduling))
def test_the_death_of_a_path_at_any_moment_loses_no_byte(seed, when, scheduling):
    network = Network(seed)
    network.first_path(jitter=0.02)
    second = network.another_path(delay=0.015, jitter=0.02)
    for end in network.ends:
        end.scheduling = scheduling
    transfer = Transfer(network, payload(900_000, seed))
    kill_during(network, transfer, when, lambda: network.kill(0 if seed % 2 else second))
    assert transfer.got == transfer.body
    assert network.caller.failure is None
    assert network.callee.failure is None


@pytest.mark.parametrize(("window", "cells"), [(2, 2), (3, 3), (4, 4), (15, 4), (16, 4), (80, 20)])
def test_an_ack_is_asked_for_once_in_four_cells_or_a_quarter_of_the_window(window, cells):
    network = Network()
    network.first_path()
    path = network.caller._paths.alive[0]
    path.congestion.window = float(window)
    asked = []
    for sequence in range(3 * cells):
        asked.append(path.asks_acknowledgement())
        path.note_sent(sequence, [], network.now, asked=asked[-1])
    assert asked == ([False] * (cells - 1) + [True]) * 3


@given(when=st.integers(1, 40))
def test_a_silent_path_is_suspected_and_passed_by_within_three_seconds(when):
    network = Network()
    network.first_path(delay=0.005)
    network.another_path(delay=0.02)
    transfer = Transfer(network, payload(3_000_000))
    moments = []

    def freeze():
        network.freeze(0)
        moments.append(network.now)

    kill_during(network, transfer, when, freeze)
    assert transfer.got == transfer.body
    if any(isinstance(e, ev.PathSuspected) for e in network.log[0]):
        assert network.now - moments[0] < 3.0


@given(seed=st.integers(0, 2**32), where=st.integers(0, CELL_SIZES[2] - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_never_delivers_and_closes_the_path(seed, where, bit):
    network = Network(seed)
    pair = network.pipes(0)
    for end, pipe in zip(network.ends, pair, strict=True):
        end.add_path(0, pipe, 2, network.now)
    number = network.caller.open_stream("files")
    network.caller.send(number, payload(50_000))

    def tamper(cell):
        return cell[:where] + bytes((cell[where] ^ 1 << bit,)) + cell[where + 1 :]

    pair[0].tamper = tamper
    network.run(0.2)
    assert ev.PathClosed(0, Status.AEAD) in network.log[1]
    assert not any(isinstance(e, ev.StreamOpened) for e in network.log[1])
    assert network.callee.state is State.STRANDED


def test_a_dropped_or_repeated_cell_closes_the_path():
    for change in ("drop", "repeat"):
        network = Network()
        network.first_path()
        number = network.caller.open_stream("files")
        network.caller.send(number, payload(200_000))
        network.pump()
        when, count, pipe, _ = network.queue.pop(2)
        if change == "repeat":
            network.queue.append((when, count, pipe, network.queue[1][3]))
        network.queue.sort()
        network.run(0.1)
        assert ev.PathClosed(0, Status.AEAD) in network.log[1]


def test_a_stranded_session_resumes_and_loses_no_byte():
    network = Network()
    network.first_path()
    transfer = Transfer(network, payload(2_000_000))
    for _ in range(8):
        transfer.push()
        network.run(0.01)
    network.kill(0)
    network.pump()
    assert network.log[0][-1] == ev.Stranded()
    assert network.caller.state is network.callee.state is State.STRANDED
    first = network.caller.next_path
    network.resume(first)
    transfer.run()
    assert transfer.got == transfer.body
    with pytest.raises(LocalProtocolError):
        network.caller.resume(network.fresh(first), network.now)


def test_a_session_that_nobody_resumes_ends():
    network = Network()
    network.first_path()
    network.kill(0)
    network.run(599.0)
    assert network.caller.state is State.STRANDED
    network.run(2.0)
    assert network.log[0][-1] == ev.SessionClosed(Status.TIMEOUT, by_peer=False)
    assert network.caller.next_deadline() == float("inf")


def test_rekey_under_load_on_two_paths():
    network = Network(3)
    network.first_path()
    network.another_path(delay=0.02)
    for end in network.ends:
        end.scheduling = Scheduling.AGGREGATE
    keys = [path.sealer._key for path in network.caller._paths.alive.values()]
    transfer = Transfer(network, payload(4_000_000))
    for step in range(2_000):
        if step == 3:
            network.caller._rekey.bytes = 1 << 31
            network.now += 20.0
        transfer.push()
        network.run(0.005)
        if transfer.opened():
            transfer.pull()
        if transfer.done:
            break
    network.run(11.0)
    assert transfer.got == transfer.body
    assert ev.Rekeyed(1) in network.log[0]
    assert ev.Rekeyed(1) in network.log[1]
    assert not set(keys) & {path.sealer._key for path in network.caller._paths.alive.values()}
    later = network.another_path()
    network.run(1.0)
    assert ev.PathConfirmed(later) in network.log[1]


def test_several_rekeys_and_a_path_that_dies_in_the_middle():
    network = Network(4)
    network.first_path()
    network.caller.open_stream("keeps the session from being idle")
    for turn in range(1, 4):
        number = network.another_path()
        network.run(700.0, until=lambda turn=turn: network.caller._rekey.number == turn)
        network.run(0.004)
        network.kill(number)
        transfer = Transfer(network, payload(100_000, turn))
        transfer.run()
        network.run(11.0)
        assert ev.Rekeyed(turn) in network.log[0]
        assert ev.Rekeyed(turn) in network.log[1]


def test_the_callee_joins_again_by_itself():
    network = Network()
    network.first_path()
    number = network.callee.allocate_path()
    assert number == 1
    network.join(number, 0 + 1)
    network.kill(0)
    transfer = Transfer(network, payload(100_000))
    transfer.run()


def test_a_weaker_path_is_refused():
    network = Network()
    network.first_path()
    with pytest.raises(LocalProtocolError):
        network.caller.add_path(0, network.pipes(9)[0], 2, network.now)
    number = network.caller.allocate_path()
    network.offer(number, level=1)
    network.run(0.1)
    assert network.log[1][-1] == ev.SessionClosed(Status.LEVEL, by_peer=False)
    assert network.log[0][-1] == ev.SessionClosed(Status.LEVEL, by_peer=True)


def test_a_path_that_takes_nothing_asks_for_no_wake_up_in_the_past():
    # The far half of a rendezvous is lost: what is due cannot go out until the port has room.
    network = Network()
    network.first_path()
    network.run(0.2)
    for pipe in network.paths[0]:
        pipe.limit = 0
    network.now += 20.0
    for end in network.ends:
        end.tick(network.now)
        end.pump(network.now)
        assert end.next_deadline() > network.now


def test_a_redundant_datagram_is_told_once_and_survives_a_path():
    network = Network()
    network.first_path()
    network.another_path(delay=0.03)
    network.caller.scheduling = Scheduling.REDUNDANT
    network.run(0.2)
    network.freeze(0)
    for index in range(5):
        network.caller.send_datagram(1, bytes((index,)), life=1.0, now=network.now)
        network.run(0.02)
    network.run(0.2)
    got = [e.data for e in network.log[1] if isinstance(e, ev.DatagramReceived)]
    assert got == [bytes((index,)) for index in range(5)]
