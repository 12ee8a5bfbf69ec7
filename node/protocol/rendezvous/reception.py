"""Introductions at the callee: what is opened, who is refused, where to join (SPEC 12.4).

Whatever does not open is met with silence: whoever replays or guesses learns nothing and costs no
circuit. Whoever opened it and is refused gets an answer that only it can read. `open` is cheap and
says in which order to go on; `answer` costs signatures and the making of keys (SPEC 12.7).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from peerstream.identity.address import Address
from peerstream.identity.device import VerifiedDevice
from peerstream.node.protocol.onion.replay import ReplayFilter, ReplayRecord
from peerstream.node.protocol.rendezvous.call import PRIVATE
from peerstream.node.protocol.rendezvous.effort import Effort
from peerstream.node.protocol.rendezvous.errors import MeetingPointError
from peerstream.node.protocol.rendezvous.publication import Publisher
from peerstream.node.protocol.rendezvous.ranking import Rank, Ranking, ReceptionRules
from peerstream.node.protocol.rendezvous.tickets import Tickets
from peerstream.node.protocol.session.admission import admit, check_rendezvous, takes_stream
from peerstream.node.protocol.session.callee import HandshakeKey, OpenedCall, open_message1
from peerstream.node.protocol.session.errors import (
    CallerRevokedError,
    DowngradeError,
    HandshakeError,
    ResumeRefusedError,
)
from peerstream.node.protocol.session.messages import CallAnswer, CallRequest
from peerstream.node.protocol.session.schedule import SessionSecrets


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a verified account with its device, or nobody in particular."""

    account: Address | None
    device: bytes = b""


@dataclass(frozen=True, slots=True)
class AdmittedCall:
    """A call that was taken: `early` is the request that came with it, where the service reads it.

    `resumes`: the id of the session that goes on instead of a new one, or b"".
    """

    secrets: SessionSecrets = field(repr=False)
    caller: Caller
    service: str
    early: bytes = field(repr=False)
    resumes: bytes
    first_path: int


@dataclass(frozen=True, slots=True)
class Invitation:
    """Where to join, and with what. `record` must be stored before anything is sent.

    `level`: of the circuit to join over, never below ours, also where that is what is refused.
    `refusal`: why the call is not taken, the error that message 2 tells the caller; else None.
    """

    request: CallRequest = field(repr=False)
    level: int
    message2: bytes = field(repr=False)
    record: ReplayRecord
    call: AdmittedCall | None
    refusal: HandshakeError | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A call that opened: the level to join over, and how worthy it is."""

    call: OpenedCall = field(repr=False)
    level: int
    rank: Rank


class Reception:
    """Opens introductions.

    `keys`: what is published at the introduction points, by key id. `meeting_points`: relay_id by
    our key there, 32 B each, for those of level 1.
    """

    def __init__(self, replay: ReplayFilter, entropy: Callable[[int], bytes]) -> None:
        self.keys: Mapping[bytes, HandshakeKey] = {}
        self.meeting_points: Mapping[bytes, bytes] = {}
        self._replay = replay
        self._entropy = entropy
        self._tickets = Tickets(entropy)
        self.effort = Effort(entropy)
        self._ranking = Ranking(self._tickets, self.effort)

    @property
    def contact_pass(self) -> bytes:
        """What our contacts' tickets hold, 32 B: their names at our points are made of it."""
        return self._tickets.contact_pass

    def serve(self, publisher: Publisher) -> None:
        """Answer at all that is published from now on: after each of its ticks and new points."""
        self.keys = publisher.handshake_keys()
        self.meeting_points = publisher.meeting_points()

    def receive(self, auth_public: bytes, blob: bytes, rules: ReceptionRules) -> Invitation:
        """Open and answer the blob that came to the point with this key (32 B), as both below."""
        return self.answer(self.open(auth_public, blob, rules), rules)

    def open(self, auth_public: bytes, blob: bytes, rules: ReceptionRules) -> Opened:
        """Read the blob that came to the point with this key (32 B), and say what it is worth.

        Raises RemoteProtocolError, as a subclass that names the cause, for what is to be met with
        silence.
        """
        wall = rules.checks.now
        opened = open_message1(
            blob, auth_public=auth_public, keys=self.keys, replay=self._replay, wall=wall
        )
        level = max(opened.request.level, rules.policy.level)
        self._check_place(auth_public, opened.request, level, rules)
        return Opened(opened, level, self._ranking.rank(opened, rules))

    def answer(self, waiting: Opened, rules: ReceptionRules) -> Invitation:
        """Return where to join a call that opened, and with which answer or refusal."""
        opened, level = waiting.call, waiting.level
        try:
            return self._admit(waiting, rules)
        except HandshakeError as error:
            answer = opened.refuse(error.status, self._entropy)
            return Invitation(opened.request, level, answer.message2, opened.record, None, error)

    def _check_place(
        self, auth_public: bytes, request: CallRequest, level: int, rules: ReceptionRules
    ) -> None:
        """Refuse in silence to join where whoever called chose what sees us do it."""
        check_rendezvous(request, rules.policy.views)
        if level == PRIVATE and self.meeting_points.get(auth_public) != request.relay_id:
            raise MeetingPointError(f"{request.relay_id.hex()[:16]} is not where it came through")

    def _admit(self, waiting: Opened, rules: ReceptionRules) -> Invitation:
        opened, level = waiting.call, waiting.level
        caller = Caller(None)
        if opened.claim is not None:
            device = waiting.rank.device or opened.verify_caller(rules.checks)
            caller = _caller(device, rules)
        resumes, first_path = self._resumed(opened, rules)
        early = admit(opened, rules.policy)
        limits = rules.limits
        answer = opened.accept(
            CallAnswer(
                limits.streams,
                limits.stream_window,
                early_accepted=bool(early),
                takes_stream=takes_stream(opened.request, rules.policy),
                tickets=self._tickets_for(caller, rules),
            ),
            self._entropy,
        )
        if answer.secrets is None:
            raise AssertionError  # `accept` gives secrets
        call = AdmittedCall(
            answer.secrets, caller, opened.request.service, early, resumes, first_path
        )
        return Invitation(opened.request, level, answer.message2, opened.record, call)

    def _tickets_for(self, caller: Caller, rules: ReceptionRules) -> tuple[bytes, ...]:
        """Return tickets for a caller with a name: two of an anonymous one would link its calls."""
        if caller.account is None:
            return ()
        to_contact = rules.is_contact(caller.account)
        return self._tickets.issue(to_contact=to_contact, wall=rules.checks.now)

    @staticmethod
    def _resumed(opened: OpenedCall, rules: ReceptionRules) -> tuple[bytes, int]:
        if opened.resume is None:
            return b"", 0
        held = rules.held(opened.resume.session_id)
        if held is None:
            raise ResumeRefusedError("no such session is held")
        opened.verify_resume(held.resume_key)
        if opened.request.level < held.level:
            raise DowngradeError(f"level {opened.request.level} in a session of {held.level}")
        return opened.resume.session_id, opened.resume.first_path


def _caller(device: VerifiedDevice, rules: ReceptionRules) -> Caller:
    if rules.is_device_revoked(device.account, device.signing_public):
        raise CallerRevokedError("the account took this device back")
    return Caller(device.account, device.signing_public)
