"""The identity that a state directory holds: made, signed for, renewed (SPEC 10.3).

The wallet signs once and stays elsewhere. Between the question and its answer the keystore keeps
the unsigned delegation, so that the wallet may be a program, a browser or another machine.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from peerstream.identity import canonical
from peerstream.identity.address import ADDRESS_SIZE, Address
from peerstream.identity.blinding import CONTACT_SECRET_SIZE
from peerstream.identity.contact import new_contact_secret
from peerstream.identity.delegation import (
    CLOCK_SKEW,
    MAXIMUM_LIFETIME,
    Delegation,
    DelegationChecks,
    Scope,
    SignedDelegation,
)
from peerstream.identity.device import CERTIFICATE_LIFETIME, CredentialChain
from peerstream.identity.errors import EncodingError, WrongNetworkError
from peerstream.identity.keys import DeviceKeys, IdentityKey
from peerstream.identity.signer import Signer, TypedData
from peerstream.identity.wallet import ChainReader
from peerstream.node.ports import Environment
from peerstream.node.roles.identity import LocalIdentity
from peerstream.node.store.errors import CorruptedFileError
from peerstream.node.store.keystore import Keystore

# A certificate is renewed well before its end: a peer's clock, or a node that sleeps for a week.
RENEW_BEFORE: Final = 10 * 86_400
IDENTITY_KEY: Final = "identity/key"
DEVICE_KEYS: Final = "identity/device"
CONTACT_SECRET: Final = "identity/contact-secret"  # noqa: S105 - its name
UNSIGNED: Final = "identity/unsigned"
DELEGATION: Final = "identity/delegation"
CHAIN: Final = "identity/chain"
MOVED: Final = "identity/moved"
ALL: Final = (IDENTITY_KEY, DEVICE_KEYS, CONTACT_SECRET, DELEGATION, UNSIGNED, CHAIN)
_WALL_MAX: Final = 1 << 40
_BOTH: Final = Scope.ACCEPT | Scope.DIAL


class IdentityStateError(Exception):
    """The state directory is not in the state that the request needs; the subclass says which."""


class NoIdentityError(IdentityStateError):
    """There is no identity here: make one with `psp id new`, or name its directory by --state."""


class IdentityExistsError(IdentityStateError):
    """There is an identity here already: renew it by `psp id renew`, or give another --state."""


class IdentityMovedError(IdentityStateError):
    """The identity went to another machine: use it there, or make one with `psp id new`."""


class NotSignedError(IdentityStateError):
    """The wallet has not signed yet: sign the typed data, then `psp id import-signature FILE`."""


class NothingToSignError(IdentityStateError):
    """No signature is waited for: begin with `psp id new` or `psp id renew`."""


class DelegationEndedError(IdentityStateError):
    """What the wallet signed is over: let it sign again with `psp id renew`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIdentity:
    """What to make. network_id 32 bytes; life in seconds, at most 90 days.

    listed: whoever knows the address may dial; else only holders of the card.
    """

    network_id: bytes
    account: Address
    listed: bool
    label: str = ""
    life: int = MAXIMUM_LIFETIME


def begin_identity(keystore: Keystore, wanted: NewIdentity, environment: Environment) -> TypedData:
    """Make the keys and return what the wallet has to sign.

    Raises IdentityExistsError; EncodingError, LifetimeError for a label or life that none has.
    """
    if DELEGATION in keystore:
        raise IdentityExistsError(f"{read_delegation(keystore).delegation.account}")
    _erase(keystore, (*ALL, MOVED))
    key = IdentityKey.generate(environment.entropy)
    unsigned = _unsigned(wanted, key, environment.clock.wall())
    keystore.put(IDENTITY_KEY, key.secret().reveal())
    keystore.put(DEVICE_KEYS, DeviceKeys.generate(environment.entropy).secret().reveal())
    if not wanted.listed:
        keystore.put(CONTACT_SECRET, new_contact_secret(environment.entropy))
    keystore.put(UNSIGNED, unsigned.encode())
    return unsigned.delegation.typed_data(wanted.network_id)


def begin_renewal(keystore: Keystore, life: int, environment: Environment) -> TypedData:
    """Return what the wallet has to sign so that the same identity goes on for `life` seconds.

    Raises NoIdentityError, LifetimeError.
    """
    before = read_delegation(keystore)
    wanted = NewIdentity(
        network_id=before.network_id,
        account=before.delegation.account,
        listed=CONTACT_SECRET not in keystore,
        label=before.delegation.label,
        life=life,
    )
    key = IdentityKey.from_bytes(keystore.get(IDENTITY_KEY))
    unsigned = _unsigned(wanted, key, environment.clock.wall())
    keystore.put(UNSIGNED, unsigned.encode())
    return unsigned.delegation.typed_data(wanted.network_id)


def finish_identity(
    keystore: Keystore,
    signature: bytes,
    environment: Environment,
    eth_call: ChainReader | None = None,
) -> LocalIdentity:
    """Take the wallet's signature, once it verifies, and return the identity.

    eth_call: needed for accounts that are contracts. Raises NothingToSignError, BadSignatureError,
    ExpiredError, ChainRequiredError.
    """
    if UNSIGNED not in keystore:
        raise NothingToSignError("the keystore has no unsigned delegation")
    unsigned = SignedDelegation.decode(keystore.get(UNSIGNED))
    signed = SignedDelegation(unsigned.network_id, unsigned.delegation, signature)
    wall = environment.clock.wall()
    signed.verify(
        DelegationChecks(
            network_id=signed.network_id, now=wall, required_scope=_BOTH, eth_call=eth_call
        )
    )
    # The old certificate is under the old delegation: without it, load makes a new one.
    _erase(keystore, (CHAIN,))
    keystore.put(DELEGATION, signed.encode())
    _erase(keystore, (UNSIGNED,))
    return load_identity(keystore, environment, signed.network_id)


def make_identity(
    keystore: Keystore, wanted: NewIdentity, signer: Signer, environment: Environment
) -> LocalIdentity:
    """Make an identity whose wallet signs here and now. Raises as its two halves."""
    typed = begin_identity(keystore, wanted, environment)
    return finish_identity(keystore, signer.sign_typed_data(typed), environment)


def read_delegation(keystore: Keystore) -> SignedDelegation:
    """Return what the wallet signed.

    Raises NoIdentityError, IdentityMovedError, NotSignedError, CorruptedFileError.
    """
    if DELEGATION in keystore:
        try:
            return SignedDelegation.decode(keystore.get(DELEGATION))
        except EncodingError as error:
            raise CorruptedFileError(f"the delegation in {keystore!r}: {error}") from error
    if UNSIGNED in keystore:
        raise NotSignedError("the delegation waits for the wallet")
    if MOVED in keystore:
        raise IdentityMovedError(_gone(keystore.get(MOVED)))
    raise NoIdentityError("the keystore holds no identity")


def load_identity(
    keystore: Keystore, environment: Environment, network_id: bytes | None = None
) -> LocalIdentity:
    """Return the identity with a device certificate that is good for at least ten days.

    Or for what is left of the delegation. network_id: the network it is wanted for, None for any.
    Raises NoIdentityError, NotSignedError, DelegationEndedError, WrongNetworkError.
    """
    delegation = read_delegation(keystore)
    if network_id not in (None, delegation.network_id):
        raise WrongNetworkError("the identity was made for another network")
    wall = environment.clock.wall()
    if delegation.delegation.not_after <= wall:
        raise DelegationEndedError(f"the delegation of {delegation.delegation.account}")
    key = IdentityKey.from_bytes(keystore.get(IDENTITY_KEY))
    device = DeviceKeys.from_bytes(keystore.get(DEVICE_KEYS))
    secret = keystore.get(CONTACT_SECRET) if CONTACT_SECRET in keystore else b""
    if len(secret) not in (0, CONTACT_SECRET_SIZE):
        raise CorruptedFileError(f"the contact secret in {keystore!r}")
    chain = _kept_chain(keystore, wall) or _new_chain(keystore, delegation, key, device, wall)
    return LocalIdentity(delegation, key, device, chain, secret)


def _unsigned(wanted: NewIdentity, key: IdentityKey, wall: int) -> SignedDelegation:
    delegation = Delegation(
        account=wanted.account,
        identity_key=key.public,
        issued=wall,
        not_before=wall - CLOCK_SKEW,  # peers' clocks may be that far behind
        not_after=wall + wanted.life,
        scope=_BOTH,
        label=wanted.label,
    )
    return SignedDelegation(wanted.network_id, delegation, b"")


def _kept_chain(keystore: Keystore, wall: int) -> CredentialChain | None:
    if CHAIN not in keystore:
        return None
    chain = CredentialChain.decode(keystore.get(CHAIN))
    ends, last = chain.certificate.not_after, chain.delegation.delegation.not_after
    fresh = ends - wall > RENEW_BEFORE or ends >= last
    return chain if chain.certificate.not_before <= wall < ends and fresh else None


def _new_chain(
    keystore: Keystore,
    delegation: SignedDelegation,
    key: IdentityKey,
    device: DeviceKeys,
    wall: int,
) -> CredentialChain:
    begins = wall - CLOCK_SKEW
    ends = min(begins + CERTIFICATE_LIFETIME, delegation.delegation.not_after)
    chain = CredentialChain.issue(delegation, key, device, not_before=begins, not_after=ends)
    keystore.put(CHAIN, chain.encode())
    return chain


def _gone(mark: bytes) -> str:
    """Say who moved and when; the mark is CBOR {1: account, 2: device key, 3: unix seconds}."""
    try:
        fields = canonical.decode_fields(mark, known=range(1, 4), max_size=256)
        account, wall = Address(fields.octets(1, ADDRESS_SIZE)), fields.integer(3, _WALL_MAX)
    except EncodingError as error:
        raise CorruptedFileError("the mark of a moved identity") from error
    return f"{account} on {datetime.fromtimestamp(wall, UTC):%Y-%m-%d %H:%M} UTC"


def _erase(keystore: Keystore, names: Iterable[str]) -> None:
    for name in names:
        if name in keystore:
            keystore.delete(name)
