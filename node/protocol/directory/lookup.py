"""Finding the descriptor of an account: what to ask for, what an answer is worth (SPEC 12.2).

Absent, damaged and forged answers look the same to whoever serves them: the caller asks the next
store for each of them.
"""

from dataclasses import dataclass, field
from typing import Final

from peerstream.identity.address import Address
from peerstream.identity.blinding import blind_public
from peerstream.identity.delegation import DelegationChecks, SignedDelegation
from peerstream.identity.descriptor.commitment import Commitment
from peerstream.identity.descriptor.contents import DescriptorContents
from peerstream.identity.descriptor.record import Record, RecordRules
from peerstream.identity.descriptor.sealing import open_descriptor
from peerstream.identity.errors import OtherIdentityError
from peerstream.node.protocol.directory.directory import Directory
from peerstream.node.protocol.directory.errors import MalformedDocumentError
from peerstream.node.protocol.directory.paths import require_distinct_points
from peerstream.node.protocol.directory.relay_set import RelayView
from peerstream.node.protocol.onion.errors import KemError
from peerstream.node.protocol.onion.kem import KemPublicKey

BOUNDARY_S: Final = 900  # clocks differ: this close to the end of a period its neighbour is asked


@dataclass(frozen=True, slots=True)
class Sought:
    """Whose descriptor: account, identity key 32 B, contact secret 32 B or none, client key."""

    account: Address
    identity_key: bytes
    contact_secret: bytes = field(default=b"", repr=False)
    client_key: bytes | None = field(default=None, repr=False)

    def blinded(self, period: int) -> bytes:
        """Return the key that the record of a period lies under, 32 bytes."""
        return blind_public(self.identity_key, period, self.contact_secret)


@dataclass(frozen=True, slots=True)
class Found:
    """A descriptor that may be dialled by, and what names it in a handshake."""

    contents: DescriptorContents
    blinded: bytes
    period: int
    revision: int
    expiry: int


def periods_to_ask(wall: int, period_s: int) -> tuple[int, ...]:
    """Return the periods whose record can be there now, the likeliest first."""
    period, into = divmod(wall, period_s)
    slack = min(BOUNDARY_S, period_s // 4)
    if into < slack:
        return period, period - 1
    if into >= period_s - slack:
        return period, period + 1
    return (period,)


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides what answers are worth, by the network's rules and our view of its relays."""

    rules: RecordRules
    directory: Directory

    def descriptor(
        self,
        document: bytes,
        sought: Sought,
        period: int,
        *,
        checks: DelegationChecks,
        highest_revision: int,
        committed: Commitment | None = None,
    ) -> Found:
        """Return the descriptor that a store gave, once all of it holds.

        `highest_revision`: the highest one seen under this blinded key; `committed`: what the key
        said of its newest record on the chain. `checks.now` is directory time.

        Raises IdentityError as a subclass (stale, rolled back, forged, expired or revoked, another
        identity, another network), MalformedDocumentError for a handshake key that is none,
        ViewMismatchError, TooFewPointsError.
        """
        blinded = sought.blinded(period)
        record = Record.parse(document).verify(
            now=checks.now, rules=self.rules, blinded=blinded, highest_revision=highest_revision
        )
        if committed is not None:
            committed.require(record)
        contents = open_descriptor(
            record,
            sought.identity_key,
            sought.account,
            sought.contact_secret,
            client_key=sought.client_key,
            checks=checks,
        )
        view = self.directory.check_view(contents.view_epoch, contents.view_root, checks.now)
        _check_handshake_keys(contents)
        _check_points(contents, view, checks.now)
        header = record.header
        return Found(contents, blinded, period, header.revision, header.expiry)


def _check_handshake_keys(contents: DescriptorContents) -> None:
    """Refuse a key that no message can be sealed to before somebody dials by it."""
    for key in contents.handshake_keys:
        try:
            KemPublicKey(key.public).encapsulate()
        except KemError as error:
            raise MalformedDocumentError("a handshake key is none") from error


def _check_points(contents: DescriptorContents, view: RelayView, now: int) -> None:
    """Count what can be chosen from: whether one of two can be used is a question on our guard."""
    for choice in filter(None, (contents.introduction_points, contents.meeting_points)):
        usable = [
            point.relay_id
            for point in choice
            if contents.handshake_keys[point.handshake_key].expiry > now
        ]
        require_distinct_points(view, usable)


def judge_grant(document: bytes, account: Address, checks: DelegationChecks) -> bytes:
    """Return the identity key, 32 bytes, that a grant found for a listed account names.

    Raises IdentityError, as a subclass.
    """
    signed = SignedDelegation.decode(document)
    if signed.delegation.account != account:
        raise OtherIdentityError("the grant is another account's")
    signed.verify(checks)
    return signed.delegation.identity_key
