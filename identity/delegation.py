"""The delegation: a wallet lets an identity key stand for its account (SPEC 1.5)."""

import string
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag
from typing import Final, Self

from peerstream.identity import canonical, eip712
from peerstream.identity.address import ADDRESS_SIZE, Address
from peerstream.identity.canonical import Fields, Value
from peerstream.identity.errors import (
    EncodingError,
    ExpiredError,
    IssuedInFutureError,
    KeyMaterialError,
    LifetimeError,
    NotYetValidError,
    RevokedError,
    ScopeError,
    SupersededError,
    WrongNetworkError,
)
from peerstream.identity.keys import KEY_SIZE, even_and_odd_points
from peerstream.identity.network import NETWORK_ID_SIZE
from peerstream.identity.signer import Signer, TypedData
from peerstream.identity.siwe.grant import SCHEME, GrantTerms, is_grant, verify_grant
from peerstream.identity.siwe.timestamps import write_time
from peerstream.identity.wallet import (
    WALLET_SIGNATURE_MAXIMUM,
    ChainReader,
    SignatureKind,
    verify_wallet_signature,
)

MAXIMUM_LIFETIME: Final = 90 * 86_400  # a lost identity key is harmless after a quarter
LOGIN_MAXIMUM_LIFETIME: Final = 30 * 86_400  # a prompt to sign in is read with less care
CLOCK_SKEW: Final = 3_600  # clocks of phones and virtual machines are wrong by minutes, not hours
LABEL_MAXIMUM: Final = 32
SIGNED_MAXIMUM: Final = WALLET_SIGNATURE_MAXIMUM + 256
_LABEL_ALPHABET: Final = frozenset(string.ascii_letters + string.digits + " ._-")
_TIME_BOUND: Final = (1 << 64) - 1


class Scope(IntFlag):
    """What the identity key may do for the account."""

    ACCEPT = 1
    DIAL = 2
    PUBLISH = 4


_CANNOT: Final = " It cannot move funds or sign transactions."

# The wallet shows this text, so it is a constant of the verifier and never read from the wire.
STATEMENTS: Final[dict[Scope, str]] = {
    Scope.ACCEPT: "Let this PeerStream key receive private connections as this account." + _CANNOT,
    Scope.DIAL: "Let this PeerStream key make private connections as this account." + _CANNOT,
    Scope.ACCEPT | Scope.DIAL: (
        "Let this PeerStream key receive and make private connections as this account." + _CANNOT
    ),
    Scope.ACCEPT | Scope.DIAL | Scope.PUBLISH: (
        "Let this PeerStream key receive and make private connections and publish channels"
        " as this account." + _CANNOT
    ),
}

_STRUCT: Final = eip712.Struct(
    "Delegation",
    (
        ("statement", "string"),
        ("account", "address"),
        ("identityKey", "bytes32"),
        ("issued", "uint64"),
        ("notBefore", "uint64"),
        ("notAfter", "uint64"),
        ("scope", "uint32"),
        ("label", "string"),
    ),
)
_KNOWN: Final = range(1, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationChecks:
    """What a verifier knows when it judges a delegation.

    Times are unix seconds. ``revoked_before`` gives the time up to which an account has revoked
    what it issued (0 for never), ``newest_issued`` the ``issued`` of the newest delegation seen
    of it (0 for none); None where there is no such source.
    """

    network_id: bytes
    now: int
    required_scope: Scope
    revoked_before: Callable[[Address], int] | None = None
    newest_issued: Callable[[Address], int] | None = None
    eth_call: ChainReader | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """The statement a wallet signs; times are unix seconds, valid in [not_before, not_after).

    There is no serial number: the later ``issued`` wins, and it cannot lie in the future, so that
    one stolen signature is always superseded by the next honest one.
    Raises EncodingError, KeyMaterialError or LifetimeError for values that no wallet may sign.
    """

    account: Address
    identity_key: bytes
    issued: int
    not_before: int
    not_after: int
    scope: Scope
    label: str = ""

    def __post_init__(self) -> None:
        if self.scope not in STATEMENTS:
            raise EncodingError(f"the scope {int(self.scope)} is not one of the allowed sets")
        if len(self.label) > LABEL_MAXIMUM or not _LABEL_ALPHABET.issuperset(self.label):
            raise EncodingError("a label is at most 32 of A-Z a-z 0-9 space . _ -")
        if not all(0 <= t <= _TIME_BOUND for t in (self.issued, self.not_before, self.not_after)):
            raise EncodingError("times are u64")
        if self.not_after <= self.not_before:
            raise EncodingError("the delegation ends before it starts")
        if self.not_after - self.issued > MAXIMUM_LIFETIME:
            raise LifetimeError("a delegation ends at most 90 days after it was issued")
        if self.account in {
            Address.of_public_key(p) for p in even_and_odd_points(self.identity_key)
        }:
            raise KeyMaterialError("the identity key is the account's own key; make a fresh one")

    def typed_data(self, network_id: bytes) -> TypedData:
        """Return the EIP-712 JSON form that ``eth_signTypedData_v4`` shows and signs."""
        return eip712.typed_data(_STRUCT, network_id, self._message())

    def digest(self, network_id: bytes) -> bytes:
        """Return the 32 bytes that the wallet's signature covers."""
        return eip712.digest(_STRUCT, network_id, self._message())

    def login_terms(self, network_id: bytes) -> GrantTerms:
        """Return what a sign-in message must say to grant this (SPEC 20.6).

        Raises LifetimeError: such a delegation lives for at most 30 days.
        """
        if self.not_after - self.issued > LOGIN_MAXIMUM_LIFETIME:
            raise LifetimeError("a delegation signed in a login ends 30 days after it was issued")
        resource = (
            f"{SCHEME}network={network_id.hex()}&key={self.identity_key.hex()}"
            f"&from={write_time(self.not_before)}&until={write_time(self.not_after)}"
            f"&scope={int(self.scope)}&label={self.label.replace(' ', '%20')}"
        )
        return GrantTerms(self.account, STATEMENTS[self.scope], resource, self.issued)

    def sign(self, signer: Signer, network_id: bytes) -> "SignedDelegation":
        """Ask the account's wallet for its signature; raises KeyMaterialError for another's."""
        if signer.address != self.account:
            raise KeyMaterialError("the wallet holds another account than the delegation names")
        return SignedDelegation(
            network_id, self, signer.sign_typed_data(self.typed_data(network_id))
        )

    def to_fields(self) -> Value:
        """Return the map that stands for it inside a document."""
        return {
            1: self.account.raw,
            2: self.identity_key,
            3: self.issued,
            4: self.not_before,
            5: self.not_after,
            6: int(self.scope),
            7: self.label,
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the map; raises EncodingError, KeyMaterialError or LifetimeError."""
        return cls(
            account=Address(fields.octets(1, ADDRESS_SIZE)),
            identity_key=fields.octets(2, KEY_SIZE),
            issued=fields.integer(3, _TIME_BOUND),
            not_before=fields.integer(4, _TIME_BOUND),
            not_after=fields.integer(5, _TIME_BOUND),
            scope=_read_scope(fields.integer(6, 0xFFFF_FFFF)),
            label=fields.text(7, LABEL_MAXIMUM),
        )

    def _message(self) -> dict[str, eip712.Atom]:
        return {
            "statement": STATEMENTS[self.scope],
            "account": self.account,
            "identityKey": self.identity_key,
            "issued": self.issued,
            "notBefore": self.not_before,
            "notAfter": self.not_after,
            "scope": int(self.scope),
            "label": self.label,
        }


@dataclass(frozen=True, slots=True)
class SignedDelegation:
    """A delegation, the network it is for and the wallet's signature: unchecked until verified."""

    network_id: bytes
    delegation: Delegation
    signature: bytes

    def verify(self, checks: DelegationChecks) -> SignatureKind:
        """Check network, time, scope, revocation and order, then the wallet's signature.

        Raises WrongNetworkError, IssuedInFutureError, NotYetValidError, ExpiredError, ScopeError,
        RevokedError, SupersededError, LifetimeError, BadSignatureError or ChainRequiredError.
        """
        if self.network_id != checks.network_id:
            raise WrongNetworkError("the delegation was signed for another network")
        _check_time(self.delegation, checks.now)
        if checks.required_scope & ~self.delegation.scope:
            raise ScopeError("the delegation does not allow this use")
        _check_order(self.delegation, checks)
        if is_grant(self.signature):
            terms = self.delegation.login_terms(self.network_id)
            return verify_grant(terms, self.signature, checks.eth_call)
        return verify_wallet_signature(
            self.delegation.account,
            self.delegation.digest(self.network_id),
            self.signature,
            eth_call=checks.eth_call,
        )

    def encode(self) -> bytes:
        """Return the wire form of a delegation that travels alone (a grant)."""
        return canonical.encode(self.to_fields())

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the wire form; raises EncodingError, KeyMaterialError or LifetimeError."""
        fields = canonical.decode_fields(data, known=range(1, 4), max_size=SIGNED_MAXIMUM)
        return cls.from_fields(fields)

    def to_fields(self) -> dict[int, Value]:
        """Return the map that stands for it inside a document."""
        return {1: self.network_id, 2: self.delegation.to_fields(), 3: self.signature}

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read fields 1 to 3 of the map; raises as ``Delegation.from_fields``."""
        return cls(
            network_id=fields.octets(1, NETWORK_ID_SIZE),
            delegation=Delegation.from_fields(fields.fields(2, _KNOWN)),
            signature=fields.octets_up_to(3, WALLET_SIGNATURE_MAXIMUM),
        )


def _read_scope(value: int) -> Scope:
    for scope in STATEMENTS:
        if scope == value:
            return scope
    raise EncodingError(f"the scope {value} is not one of the allowed sets")


def _check_time(delegation: Delegation, now: int) -> None:
    if delegation.issued > now + CLOCK_SKEW:
        raise IssuedInFutureError("the delegation claims to be issued in the future")
    if delegation.not_before > now:
        raise NotYetValidError("the delegation is not valid yet")
    if delegation.not_after <= now:
        raise ExpiredError("the delegation is over")


def _check_order(delegation: Delegation, checks: DelegationChecks) -> None:
    account, issued = delegation.account, delegation.issued
    if checks.revoked_before is not None and issued <= checks.revoked_before(account):
        raise RevokedError("the account revoked this delegation")
    if checks.newest_issued is not None and issued < checks.newest_issued(account):
        raise SupersededError("a later delegation of this account is known")
