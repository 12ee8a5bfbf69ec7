"""One call, at the caller: from a descriptor to the secrets of a session (SPEC 12.3).

The driver opens circuits and hands their answers in; what is tried, in which order, how long, and
whether an answer counts, is decided here. An introduction that was passed on late still counts: the
callee may join as long as the call is not over.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from peerstream.identity.descriptor.contents import DescriptorContents, IntroductionPoint
from peerstream.identity.errors import ExpiredError
from peerstream.node.protocol.circuit.bodies import Introduction, IntroductionWait
from peerstream.node.protocol.onion.kem import KemPublicKey
from peerstream.node.protocol.rendezvous.errors import (
    CallStateError,
    LevelUnavailableError,
    NoAnswerError,
    PointUnknownError,
)
from peerstream.node.protocol.rendezvous.tickets import pass_in, pass_name
from peerstream.node.protocol.session.caller import (
    CallAccepted,
    CallerHandshake,
    CallerIdentity,
    ResumeSession,
)
from peerstream.node.protocol.session.errors import BadMessageError
from peerstream.node.protocol.session.messages import CallRequest
from peerstream.node.protocol.session.transcript import Callee
from peerstream.node.protocol.wire.sizes import COOKIE_SIZE

JOIN_SECONDS: Final = 12.0  # from the introduction that was passed on to the callee's answer
NEXT_SECONDS: Final = 2.0  # the same, before another point is asked while the answer may still come
NEXT_LEAST: Final = 1.0
NEXT_TIMES: Final = 4  # as long as the introduction took: its way on and the callee's way back
ATTEMPTS_MAX: Final = 3  # introductions that points had to answer for
BROKEN_PATHS_MAX: Final = 6  # circuits that ended on their way to a point
BROKEN_PATHS_HURRIED: Final = 2  # where another call will follow soon
PRIVATE: Final = 1


class State(Enum):
    """Where a call stands."""

    READY = "ready"  # to introduce at the next point
    INTRODUCING = "introducing"  # the introduction point was asked
    WAITING = "waiting"  # it passed the introduction on
    JOINED = "joined"
    FAILED = "failed"


class Input(Enum):
    """What can happen to it."""

    INTRODUCE = "introduce"
    PASSED_ON = "passed on"
    REFUSED = "refused"
    UNREACHED = "unreached"
    LATE = "late"
    JOIN = "join"
    FAIL = "fail"


TRANSITIONS: Final[dict[tuple[State, Input], State]] = {
    (State.READY, Input.INTRODUCE): State.INTRODUCING,
    (State.INTRODUCING, Input.PASSED_ON): State.WAITING,
    (State.INTRODUCING, Input.REFUSED): State.READY,
    (State.INTRODUCING, Input.UNREACHED): State.READY,
    (State.WAITING, Input.LATE): State.READY,
    (State.READY, Input.JOIN): State.JOINED,
    (State.INTRODUCING, Input.JOIN): State.JOINED,
    (State.WAITING, Input.JOIN): State.JOINED,
    (State.READY, Input.FAIL): State.FAILED,
    (State.INTRODUCING, Input.FAIL): State.FAILED,
    (State.WAITING, Input.FAIL): State.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTerms:
    """What one call is about.

    `blinded` and `period` name the descriptor; `epoch` and `root` (32 B) our view of the relay set;
    `bucket` = unix seconds / 600; `cookie` is the 32 B that we listen for, drawn for this call
    alone. At level 1 each introduction draws one of its own. `patience_s`: for each point, where
    another call will follow soon; `next_s`: before another one is asked, while both may answer.
    `puzzle`: a solution, 24 B; `ticket`: of an earlier call, 48 B.
    """

    network_id: bytes
    blinded: bytes
    period: int
    epoch: int
    root: bytes
    level: int
    cell_class: int
    bucket: int
    cookie: bytes = field(default=b"", repr=False)
    service: str = ""
    early: bytes = field(default=b"", repr=False)
    patience_s: float = math.inf
    next_s: float = NEXT_SECONDS
    puzzle: bytes = b""
    ticket: bytes = field(default=b"", repr=False)


def agreed_level(wanted: int, contents: DescriptorContents) -> int:
    """Return the level of a call: the stricter of both sides' wishes."""
    return max(wanted, contents.minimum_level)


def agreed_class(wanted: int, contents: DescriptorContents) -> int:
    """Return the cell class to use: ours where the callee takes it, else its largest."""
    return wanted if wanted in contents.cell_classes else contents.cell_classes[-1]


class Call:
    """Makes introductions and reads the callee's answer."""

    def __init__(
        self,
        contents: DescriptorContents,
        terms: CallTerms,
        *,
        wall: int,
        entropy: Callable[[int], bytes],
        identity: CallerIdentity | None,
        resume: ResumeSession | None = None,
    ) -> None:
        self._contents = contents
        self._terms = terms
        self._entropy = entropy
        self._identity = identity
        self._resume = resume
        self.state = State.READY
        self.deadline = float("inf")
        points = contents.introduction_points
        if terms.level == PRIVATE:
            points = contents.meeting_points
            if not points:
                raise LevelUnavailableError("the descriptor names no meeting points")
        self._left = {p.relay_id: p for p in points if self._is_usable(p, wall)}
        self._asked: IntroductionPoint | None = None  # the last one
        self._attempts = 0
        self._broken_paths = 0
        self._unreached: Counter[bytes] = Counter()  # how often each of those left
        self._handshakes: list[CallerHandshake] = []
        self._reasons: list[str] = []
        self._pass = pass_in(terms.ticket)

    def _is_usable(self, point: IntroductionPoint, wall: int) -> bool:
        try:
            self._contents.usable_handshake_key(point, wall)
        except ExpiredError:
            return False
        return True

    def _advance(self, happened: Input) -> None:
        try:
            self.state = TRANSITIONS[self.state, happened]
        except KeyError as error:
            raise CallStateError(f"{happened.value} while {self.state.value}") from error

    @property
    def points(self) -> tuple[bytes, ...]:
        """The relay_ids that can be tried next, while the call is ready for one.

        Raises NoAnswerError when there are none: the call is over then.
        """
        if self.state is State.READY:
            if self._may_ask:
                fewest = min(self._unreached[relay_id] for relay_id in self._left)
                return tuple(r for r in self._left if self._unreached[r] == fewest)
            self._advance(Input.FAIL)
        if self.state is State.FAILED:
            raise self._no_answer()
        raise CallStateError(f"no point is tried while {self.state.value}")

    @property
    def _may_ask(self) -> bool:
        return bool(self._left) and self._attempts < ATTEMPTS_MAX

    def _no_answer(self) -> NoAnswerError:
        return NoAnswerError(tuple(self._reasons))

    def introduce(self, point: bytes, rendezvous: bytes) -> bytes:
        """Return the body of INTRODUCE, at level 1 of INTRODUCE_WAIT, for the point `point`.

        `rendezvous`: the relay_id where we listen for the cookie. At level 1 it is the point
        itself, which listens and introduces by one command. Raises PointUnknownError.
        """
        chosen = self._left.get(point)
        if chosen is None:
            raise PointUnknownError(point.hex()[:16])
        self._advance(Input.INTRODUCE)
        del self._left[point]
        self._asked, self._attempts = chosen, self._attempts + 1
        if self._terms.level != PRIVATE:
            message = self._message(chosen, rendezvous, self._terms.cookie)
            return Introduction(self._name(chosen), message).encode()
        # In clear: one cookie at two points would tell them that they serve one address.
        cookie = self._entropy(COOKIE_SIZE)
        message = self._message(chosen, rendezvous, cookie)
        return IntroductionWait(self._name(chosen), cookie, message).encode()

    def _name(self, point: IntroductionPoint) -> bytes:
        """Return what the point knows the callee by: with a pass a name that strangers lack."""
        return pass_name(self._pass, point.auth_key) if self._pass else point.auth_key

    def _message(self, point: IntroductionPoint, rendezvous: bytes, cookie: bytes) -> bytes:
        handshake = self._handshake(point, rendezvous, cookie)
        self._handshakes.append(handshake)
        return handshake.message1()

    def _handshake(
        self, point: IntroductionPoint, rendezvous: bytes, cookie: bytes
    ) -> CallerHandshake:
        terms = self._terms
        published = self._contents.handshake_keys[point.handshake_key]
        callee = Callee(
            terms.network_id,
            self._contents.account.raw,
            terms.blinded,
            terms.period,
            point.auth_key,
            KemPublicKey(published.public),
        )
        request = CallRequest(
            relay_id=rendezvous,
            cookie=cookie,
            epoch=terms.epoch,
            root=terms.root,
            level=terms.level,
            cell_class=terms.cell_class,
            bucket=terms.bucket,
            service=terms.service,
            early=terms.early,
            puzzle=terms.puzzle,
            ticket=terms.ticket,
        )
        return CallerHandshake(
            callee, request, entropy=self._entropy, identity=self._identity, resume=self._resume
        )

    def passed_on(self, now: float, took: float = math.inf) -> None:
        """Note that the point took the introduction; the callee has until `deadline`.

        `took`: seconds until it did, which shows how far away everything is.
        """
        self._advance(Input.PASSED_ON)
        waits_on = self._terms.level != PRIVATE  # at level 1 the circuit is closed with the attempt
        patience = self._terms.patience_s
        if waits_on and self._may_ask:
            soon = min(NEXT_SECONDS, max(NEXT_LEAST, NEXT_TIMES * took))
            patience = min(patience, self._terms.next_s, soon)
        self.deadline = now + min(patience, JOIN_SECONDS)

    def refused(self, reason: str) -> None:
        """Note that the introduction point refused, or was not reached: try the next one.

        Where we came with a pass, the same one is asked once more without: the callee may have
        begun anew since it gave us that.
        """
        self._advance(Input.REFUSED)
        self._reasons.append(reason)
        if self._pass and self._asked is not None:
            self._pass = b""
            self._attempts -= 1
            self._left[self._asked.relay_id] = self._asked

    def unreached(self, reason: str) -> None:
        """Note that a relay before the introduction point broke the path: that is not its fault.

        The point may be tried again, unless too many paths broke. Whoever broke this one may have
        kept the introduction: an answer to it counts.
        """
        self._advance(Input.UNREACHED)
        self._reasons.append(reason)
        self._broken_paths += 1
        hurried = self._terms.patience_s < math.inf
        most = BROKEN_PATHS_HURRIED if hurried else BROKEN_PATHS_MAX
        if self._asked is not None and self._broken_paths <= most:
            self._attempts -= 1
            self._left[self._asked.relay_id] = self._asked
            self._unreached[self._asked.relay_id] += 1

    def none_safe(self, reason: str) -> None:
        """Note that none of `points` is one to go to; the call is over when no others are left."""
        for point in self.points:
            del self._left[point]
        self._reasons.append(reason)

    def tick(self, now: float) -> None:
        """Give up waiting for an introduction that was passed on but not answered."""
        if self.state is State.WAITING and now >= self.deadline:
            self._advance(Input.LATE)
            self._reasons.append("the callee did not join in time")

    def joined(self, blob: bytes) -> CallAccepted:
        """Read what came with JOINED; the call is over.

        Raises CallRefusedError when the callee refused; MalformedMessageError or BadMessageError
        when somebody else joined: the rendezvous point is hostile then. NoAnswerError when the
        call was given up in the same moment.
        """
        if self.state is State.FAILED:
            raise self._no_answer()
        if self.state is State.JOINED:
            raise CallStateError("a call is answered once")
        try:
            accepted = self._read(blob)
        except BaseException:
            self._advance(Input.FAIL)
            raise
        self._advance(Input.JOIN)
        return accepted

    def _read(self, blob: bytes) -> CallAccepted:
        """Read message 2 by the first handshake that it answers."""
        failure = BadMessageError("somebody joined before the callee was asked")
        for handshake in self._handshakes:
            try:
                return handshake.finish(blob)
            except BadMessageError as error:
                failure = error
        raise failure
