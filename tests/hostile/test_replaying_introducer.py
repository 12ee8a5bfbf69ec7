"""An introduction point that plays introductions again: to the service, elsewhere, later."""

import pytest

from peerstream.node.protocol.circuit.bodies import Introduction
from peerstream.node.protocol.onion.replay import ReplayFilter
from peerstream.node.protocol.session import errors
from peerstream.node.protocol.wire.command import Command
from tests.node.protocol.circuit.meeting import KEY, circuit, register, relays
from tests.node.protocol.circuit.memory_network import MemoryNetwork
from tests.node.protocol.circuit.test_introductions import PRIVATE
from tests.node.protocol.directory.network import WALL
from tests.node.protocol.parties import Party

CALLER, CALLEE = Party("caller"), Party("callee")
FOUND = CALLER.judges(CALLEE.descriptor(), CALLEE)
MESSAGE = CALLER.calls(FOUND)[1]


def test_what_the_point_sends_again_is_met_with_silence_and_costs_no_circuit():
    network = MemoryNetwork(8)
    path = relays(network, 3)
    service = circuit(network, path, Command.INTRO_REGISTER, register(PRIVATE))
    point = path[2].core._commands.introductions
    circuit(network, relays(network, 1) + path[2:], Command.INTRODUCE,
            Introduction(KEY, MESSAGE).encode())  # fmt: skip
    for _ in range(4):  # hostile: the point's own hand plays it again, without a caller
        point.introduce(Introduction(KEY, MESSAGE), network.now)
    network.run()
    blobs = service.take(Command.INTRODUCTION)
    assert blobs == [MESSAGE] * 5
    reception = CALLEE.reception()
    assert CALLEE.receives(blobs[0], reception=reception).call is not None
    for blob in blobs[1:]:
        with pytest.raises(errors.ReplayedMessageError):
            CALLEE.receives(blob, reception=reception)


@pytest.mark.parametrize("point", [1, 2])
def test_another_point_cannot_use_it(point):
    with pytest.raises(errors.UnknownHandshakeKeyError):
        CALLEE.receives(MESSAGE, auth=point)
    own_name = CALLER.calls(FOUND, point=point)[1][4:12]
    with pytest.raises(errors.BadMessageError):
        CALLEE.receives(MESSAGE[:4] + own_name + MESSAGE[12:], auth=point)


def test_a_restart_forgets_nothing_that_was_answered():
    record = CALLEE.receives(MESSAGE).record
    restarted = ReplayFilter()
    restarted.load(record.bucket, [record.tag])
    with pytest.raises(errors.ReplayedMessageError):
        CALLEE.receives(MESSAGE, reception=CALLEE.reception(restarted))


@pytest.mark.parametrize("later", [1_200, 86_400])
def test_what_the_filter_forgot_is_out_of_time(later):
    replay = ReplayFilter()
    CALLEE.receives(MESSAGE, reception=CALLEE.reception(replay))
    with pytest.raises((errors.WrongBucketError, errors.ReplayedMessageError)):
        CALLEE.receives(MESSAGE, reception=CALLEE.reception(replay), now=WALL + later)
    with pytest.raises(errors.WrongBucketError):
        CALLEE.receives(MESSAGE, now=WALL + later)
