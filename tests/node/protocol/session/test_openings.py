"""Frames that may wait for company: OPEN, with the first bytes; OPENED, with the answer (5.6)."""

import pytest

from peerstream.node.protocol.session import events as ev
from peerstream.node.protocol.session.session import OPEN_PATIENCE
from peerstream.node.protocol.session.streams import OPENED_PATIENCE
from tests.node.protocol.session.joined import Network


@pytest.fixture
def network():
    """Two sessions whose path is confirmed and idle."""
    found = Network()
    found.first_path()
    found.caller.send_end(found.caller.open_stream("first"))
    found.run(0.2)
    found.callee.reset(1)
    found.run(0.2)
    for log in found.log:
        log.clear()
    for pipe in found.paths[0]:
        pipe.cells = 0
    return found


def cells(network, sender):
    return network.paths[0][sender].cells


def pump(network):
    for end in network.ends:
        end.pump(network.now)


def test_an_opening_and_its_first_bytes_are_one_cell(network):
    number = network.caller.open_stream("echo")
    pump(network)
    assert cells(network, 0) == 0
    network.caller.send(number, b"question")
    pump(network)
    assert cells(network, 0) == 1
    network.run(0.013)
    assert network.log[1] == [ev.StreamOpened(number, "echo"), ev.Readable(number)]


def test_an_opening_alone_leaves_when_its_patience_is_over(network):
    number = network.caller.open_stream("ssh")
    pump(network)
    assert network.caller.next_deadline() == network.now + OPEN_PATIENCE
    network.now += OPEN_PATIENCE
    pump(network)
    assert cells(network, 0) == 1
    network.run(0.013)
    assert network.log[1] == [ev.StreamOpened(number, "ssh")]


def test_an_answer_takes_the_acceptance_along(network):
    number = network.caller.open_stream("echo")
    network.caller.send(number, b"question")
    network.run(0.013)
    network.callee.accept_stream(number)
    pump(network)
    assert cells(network, 1) == 0
    network.callee.send(number, b"answer")
    pump(network)
    assert cells(network, 1) == 1
    network.run(0.013)
    assert network.log[0] == [ev.StreamAccepted(number), ev.Readable(number)]


def test_an_acceptance_without_an_answer_is_told(network):
    number = network.caller.open_stream("upload")
    network.run(0.02)
    network.callee.accept_stream(number)
    pump(network)
    network.now += OPENED_PATIENCE
    pump(network)
    network.run(0.013)
    assert network.log[0] == [ev.StreamAccepted(number)]


def test_a_frame_that_cannot_wait_takes_the_patient_one_along(network):
    number = network.caller.open_stream("echo")
    pump(network)
    network.caller.send_contact(b"secret")
    pump(network)
    assert cells(network, 0) == 1
    network.run(0.013)
    assert ev.StreamOpened(number, "echo") in network.log[1]


def test_patience_begins_with_the_frame_and_not_with_the_last_one(network):
    network.caller.open_stream("a")
    pump(network)
    network.now += OPEN_PATIENCE / 2
    network.caller.open_stream("b")
    pump(network)
    network.now += OPEN_PATIENCE / 2
    pump(network)
    assert cells(network, 0) == 1


def test_an_opening_that_died_with_its_path_is_sent_again_at_once(network):
    other = network.another_path()
    network.run(0.2)
    carrying = network.caller.carrying
    spare = {0, other} - {carrying}
    network.freeze(carrying)
    number = network.caller.open_stream("echo")
    pump(network)
    network.now += OPEN_PATIENCE
    pump(network)
    pipe = network.paths[spare.pop()][0]
    pipe.cells = 0
    network.kill(carrying)
    pump(network)
    assert pipe.cells == 1
    network.run(0.013)
    assert ev.StreamOpened(number, "echo") in network.log[1]
