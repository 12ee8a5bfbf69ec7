"""How worthy a call is that opened, before anything dear is done about it (SPEC 12.7)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from peerstream.identity.address import Address
from peerstream.identity.delegation import DelegationChecks
from peerstream.identity.device import CredentialChain, VerifiedDevice
from peerstream.identity.errors import IdentityError
from peerstream.node.protocol.circuit.token_bucket import TokenBucket
from peerstream.node.protocol.rendezvous.effort import Effort
from peerstream.node.protocol.rendezvous.tickets import Standing, Tickets
from peerstream.node.protocol.session.admission import CalleePolicy
from peerstream.node.protocol.session.callee import OpenedCall
from peerstream.node.protocol.session.errors import HandshakeError
from peerstream.node.protocol.session.limits import DEFAULT_LIMITS, SessionLimits

CLAIMS_RATE: Final = 10.0  # a second: whoever says he is a contact costs two signatures
CLAIMS_BURST: Final = 40.0


@dataclass(frozen=True, slots=True)
class HeldSession:
    """A session that a call may go on with: the secret that proves it, 32 B, and its level."""

    resume_key: bytes = field(repr=False)
    level: int


def nobody(_account: Address) -> bool:
    """Whether an account is a contact, where there are none."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptionRules:
    """By what a call is judged at one moment.

    `held` gives a session by its id, 16 B, None for one that is not there; `is_device_revoked`
    whether an account took a device (Ed25519 key, 32 B) back; `is_contact` whom we want to hear
    before strangers.
    """

    policy: CalleePolicy
    checks: DelegationChecks
    is_device_revoked: Callable[[Address, bytes], bool]
    held: Callable[[bytes], HeldSession | None]
    is_contact: Callable[[Address], bool] = nobody
    limits: SessionLimits = DEFAULT_LIMITS


class Rank(NamedTuple):
    """What a call is worth; `device`: its caller's, where it was verified for that."""

    standing: Standing
    effort: int = 0
    device: VerifiedDevice | None = None


class Ranking:
    """Ranks by what is cheap to check: a MAC, a ticket, a solution; for contacts a signature."""

    def __init__(self, tickets: Tickets, effort: Effort) -> None:
        self._tickets = tickets
        self._effort = effort
        self._claims: TokenBucket | None = None

    def rank(self, call: OpenedCall, rules: ReceptionRules) -> Rank:
        """Return the rank of a call; its ticket and its solution count from now on no more."""
        wall, request = rules.checks.now, call.request
        if _resumes(call, rules):
            return Rank(Standing.FIRST)
        ticket = request.ticket
        standing = self._tickets.use(ticket, wall) if ticket else Standing.STRANGER
        if standing is Standing.FIRST:
            return Rank(standing)
        device = self._contact(call, rules)
        if device is not None:
            return Rank(Standing.FIRST, device=device)
        if standing is Standing.KNOWN:
            return Rank(standing)
        return Rank(standing, self._effort.worth(request.puzzle))

    def _contact(self, call: OpenedCall, rules: ReceptionRules) -> VerifiedDevice | None:
        """Return the device of a caller who says it is a contact, and is; so many are checked."""
        if call.claim is None or rules.is_contact is nobody:
            return None
        try:
            claimed = CredentialChain.decode(call.claim).delegation.delegation.account
            if not rules.is_contact(claimed) or not self._may_check(rules.checks.now):
                return None
            return call.verify_caller(rules.checks)
        except (IdentityError, HandshakeError):
            return None  # it is told which when its turn comes

    def _may_check(self, now: float) -> bool:
        if self._claims is None:
            self._claims = TokenBucket(CLAIMS_RATE, CLAIMS_BURST, now)
        return self._claims.take(now)


def _resumes(call: OpenedCall, rules: ReceptionRules) -> bool:
    """Whether the caller proves that it goes on with a session that we hold."""
    held = None if call.resume is None else rules.held(call.resume.session_id)
    if held is None:
        return False
    try:
        call.verify_resume(held.resume_key)
    except HandshakeError:
        return False
    return True
