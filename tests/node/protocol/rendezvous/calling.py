"""A callee with five points at each level, and calls to it that stand wherever a test wants."""

from contextlib import suppress
from dataclasses import replace

from peerstream.identity.descriptor.contents import IntroductionPoint
from peerstream.node.protocol.circuit.bodies import Introduction, IntroductionWait
from peerstream.node.protocol.rendezvous.call import Call, Input, State
from peerstream.node.protocol.rendezvous.errors import NoAnswerError
from tests.node.protocol.parties import RELAYS, RENDEZVOUS, Party

CALLER, CALLEE = Party("caller"), Party("callee")
IDS = [each.relay_id for each in RELAYS[:5]]
AUTH = {relay_id: CALLEE.auth[n % 3] for n, relay_id in enumerate(IDS)}
FIVE = tuple(IntroductionPoint(relay_id, AUTH[relay_id], 0) for relay_id in IDS)
FOUND = CALLER.judges(
    CALLEE.descriptor(introduction_points=FIVE, meeting_points=FIVE, minimum_level=1), CALLEE
)
NOW = 50.0


def with_contents(**changes):
    return replace(FOUND, contents=replace(FOUND.contents, **changes))


def new_call(**changes):
    return CALLER.call(FOUND, **changes)


def introduce(call, point=None):
    """Introduce at the next point; the body it gets."""
    point = call.points[0] if point is None else point
    return point, call.introduce(point, RENDEZVOUS)


def live_reception():
    """The callee's, where the first three points are of level 1 too."""
    reception = CALLEE.reception()
    reception.meeting_points = dict(zip(CALLEE.auth, IDS, strict=False))
    return reception


def answered(body, *, anonymous=True, **changes):
    """The callee's message 2 to an introduction of level 2 or, with `level=1`, of level 1."""
    kind = IntroductionWait if changes.get("level") == 1 else Introduction
    introduction = kind.decode(body)
    reception = live_reception()
    auth = CALLEE.auth.index(introduction.auth_key)
    return CALLEE.receives(
        introduction.blob, reception=reception, auth=auth, anonymous=anonymous, **changes
    ).message2


def exhaust(call):
    while len(call._handshakes) < 3:
        introduce(call)
        call.refused("BUSY")


def standing(state):
    """A call in that state, and the body of its first introduction."""
    call = new_call()
    _, body = introduce(call)
    if state is State.READY:
        call.refused("LIMIT")
    if state in {State.WAITING, State.JOINED}:
        call.passed_on(NOW)
    if state is State.JOINED:
        call.joined(answered(body))
    if state is State.FAILED:
        call.refused("LIMIT")
        exhaust(call)
        with suppress(NoAnswerError):
            _ = call.points
    assert call.state is state
    return call, body


def happen(call: Call, happened: Input, body: bytes) -> None:
    """Let one input happen to a call; `body` is of its first introduction."""
    if happened is Input.INTRODUCE:
        call.introduce(IDS[4], RENDEZVOUS)
    elif happened is Input.PASSED_ON:
        call.passed_on(NOW)
    elif happened is Input.REFUSED:
        call.refused("BUSY")
    elif happened is Input.UNREACHED:
        call.unreached("no circuit of 4 hops")
    elif happened is Input.LATE:
        call.tick(max(call.deadline, NOW))
    else:
        call.joined(answered(body) if happened is Input.JOIN else bytes(2_048))
