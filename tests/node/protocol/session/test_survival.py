"""What a session wants of its driver when paths break, and by what a new handshake knows it."""

import pytest

from peerstream.node.protocol.session.errors import MalformedFrameError
from peerstream.node.protocol.session.frames import AddPath
from peerstream.node.protocol.session.limits import DEFAULT_LIMITS
from peerstream.node.protocol.session.multipath import STAY, Need
from peerstream.node.protocol.session.paths import PATHS_MAX, PathTable, Role
from peerstream.node.protocol.session.state import State
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.session.joined import Network, entropy_of, secrets
from tests.node.protocol.session.transfer import payload

SILENT_S = DEFAULT_LIMITS.silent_after
STANDBY_S = DEFAULT_LIMITS.standby_after


@pytest.fixture
def network():
    network = Network()
    network.first_path()
    return network


def need(network):
    return network.caller.need(network.now)


def open_stream(network, size=1):
    number = network.caller.open_stream("files")
    network.caller.send(number, payload(size))
    return number


def test_a_session_in_use_wants_a_second_path_soon(network):
    network.run(2 * STANDBY_S)
    assert need(network) is Need.NOTHING  # nobody uses it
    open_stream(network)
    network.run(0.05)
    assert need(network) is Need.PATH
    network.another_path()
    network.run(0.1)
    assert need(network) is Need.NOTHING
    assert network.callee.need(network.now) is Need.NOTHING


def test_it_waits_anew_when_the_path_that_stood_by_is_lost(network):
    open_stream(network)
    second = network.another_path()
    network.run(5.0)
    network.kill(second)
    network.run(0.9 * STANDBY_S)
    assert need(network) is Need.NOTHING
    network.run(0.2 * STANDBY_S)
    assert need(network) is Need.PATH


def test_at_level_1_no_path_is_offered(network):
    open_stream(network)
    network.caller._paths.level = 1
    network.run(2 * STANDBY_S)
    assert need(network) is Need.NOTHING


def test_a_session_whose_paths_are_all_silent_wants_a_new_call_and_keeps_them(network):
    open_stream(network)
    assert network.caller.open_stream("files") == 3
    network.another_path(delay=0.02)
    network.caller.send(3, payload(200_000))
    began = network.now
    network.run(0.005)
    for number in network.paths:
        network.freeze(number)
    network.run(SILENT_S + 3.0, until=lambda: need(network) is Need.RESUME)
    assert SILENT_S <= network.now - began < SILENT_S + 0.1
    assert network.caller.state is State.OPEN
    assert set(network.caller._paths.alive) == set(network.paths)


def test_the_driver_is_called_when_silence_lasted_long_enough(network):
    open_stream(network, 200_000)
    network.run(0.005)
    network.freeze(0)
    network.run(1.4)
    assert all(path.suspect for path in network.caller._paths.alive.values())
    wake = network.caller.next_deadline()
    while network.caller.need(wake) is not Need.RESUME:
        network.run(wake - network.now + 0.001)
        wake = network.caller.next_deadline()
    assert wake <= network.now + SILENT_S


def test_a_path_that_answers_again_takes_the_wish_back(network):
    for pipe in network.paths[0]:
        pipe.delay = lambda: 2.0  # slow, not dead
    open_stream(network, 200_000)
    network.run(5.0, until=lambda: need(network) is Need.RESUME)
    assert need(network) is Need.RESUME
    network.run(3.0, until=lambda: need(network) is not Need.RESUME)
    assert need(network) is not Need.RESUME


def test_a_stranded_session_wants_a_new_call_at_once(network):
    network.kill(0)
    assert need(network) is Need.RESUME
    network.caller.close(Status.FINISHED, network.now)
    assert need(network) is Need.NOTHING


def test_the_caller_asks_once_whether_a_path_lives_that_fell_silent(network):
    number = network.caller.open_stream("files")
    network.run(0.1)
    network.callee.accept_stream(number)
    network.callee.send(number, payload(100_000))
    network.run(0.5)
    outward, inward = network.paths[0]
    before = outward.cells, inward.cells
    network.run(0.9)
    assert (outward.cells, inward.cells) != before
    before = outward.cells, inward.cells
    network.run(10.0)
    assert (outward.cells, inward.cells) == before  # an answer is no reason to ask again
    network.callee.send(number, payload(1))
    network.run(0.5)
    network.freeze(0)
    network.run(5.0, until=lambda: need(network) is Need.RESUME)
    assert need(network) is Need.RESUME


def test_the_path_that_carries_goes_on_until_another_is_twice_as_quick(network):
    open_stream(network, 200_000)
    second = network.another_path(delay=0.009)
    network.run(1.0)
    paths = network.caller._paths.alive
    assert network.caller.carrying == 0
    paths[second].congestion.round_trip = paths[0].congestion.round_trip / (0.9 * STAY)
    assert network.caller.carrying == 0
    paths[second].congestion.round_trip = paths[0].congestion.round_trip / (1.1 * STAY)
    assert network.caller.carrying == second
    network.kill(second)
    assert network.caller.carrying == 0
    network.kill(0)
    assert network.caller.carrying is None


def test_a_callee_takes_the_old_ticket_until_the_new_one_was_used(network):
    """The answer to a resume may be lost: the caller knows the id of before alone."""
    callee = network.callee
    old_id, old_key = callee.session_id, callee.resume_key
    assert callee.held_key(old_id) == old_key
    network.kill(0)
    callee.resume(network.fresh(4), network.now)  # and the caller never hears of it
    assert callee.session_id != old_id
    assert callee.held_key(callee.session_id) == callee.resume_key
    assert callee.held_key(old_id) == old_key
    assert callee.held_key(bytes(16)) is None
    unheard = callee.session_id
    callee.add_path(4, network.pipes(4)[1], 2, network.now)
    callee.path_lost(4, network.now)
    callee.events()
    assert callee.state is State.STRANDED
    network.resume(6)
    open_stream(network)
    network.run(0.5)
    assert callee.held_key(callee.session_id) == callee.resume_key
    assert callee.held_key(old_id) is None
    assert callee.held_key(unheard) is None


def test_each_ticket_has_a_first_path_of_its_own(network):
    network.kill(0)
    first, second = (network.caller.resume_ticket() for _ in range(2))
    assert second.first_path == first.first_path + 2
    assert first.session_id == second.session_id


def test_an_offer_that_came_to_nothing_leaves_no_keys():
    table = PathTable(Role.CALLEE, secrets(), 2)
    table._offers.add(2)
    table.join_blob(2, entropy_of(1))
    assert table.is_ready(2)
    table.refused(2)
    assert not table.is_ready(2)


@pytest.mark.parametrize(("cell_class", "level"), [(4, 2), (255, 2), (2, 0), (2, 3)])
def test_an_offer_of_no_class_or_level_of_ours_closes_the_session(network, cell_class, level):
    network.caller.offer_path(AddPath(2, bytes(32), bytes(32), cell_class, level))
    network.run(0.1)
    assert isinstance(network.callee.failure, MalformedFrameError)


def test_no_path_is_awaited_for_which_there_is_no_place():
    network = Network()
    network.first_path()
    for _ in range(PATHS_MAX - 1):
        network.another_path()
    number = network.caller.allocate_path()
    network.offer(number)
    network.run(1.0, until=lambda: network.was_offered(number))
    network.callee.join_blob(number)
    assert not network.callee.awaits_path(number)
    network.kill(0)
    assert network.callee.awaits_path(number)
