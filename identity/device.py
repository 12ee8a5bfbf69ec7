"""Device certificates and the chain from wallet to device (SPEC 1.7)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from peerstream.identity import canonical, labels
from peerstream.identity.address import Address
from peerstream.identity.canonical import Fields
from peerstream.identity.delegation import DelegationChecks, Scope, SignedDelegation
from peerstream.identity.errors import EncodingError, ExpiredError, LifetimeError, NotYetValidError
from peerstream.identity.keys import (
    KEY_SIZE,
    SIGNATURE_SIZE,
    DeviceKeys,
    IdentityKey,
    tagged_hash,
    verify_schnorr,
)
from peerstream.identity.wallet import ChainReader

CERTIFICATE_LIFETIME: Final = 30 * 86_400  # a stolen device stops counting within a month
CREDENTIAL_CHAIN_MAXIMUM: Final = 3_072  # it rides in message 1 of the handshake
_TIME_BOUND: Final = (1 << 64) - 1
_CERTIFICATE_KNOWN: Final = range(1, 5)
_CHAIN_KNOWN: Final = range(1, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCertificate:
    """The identity key's word for one device; valid in [not_before, not_after), unix seconds.

    Raises EncodingError or LifetimeError for values that are never valid.
    """

    signing_public: bytes
    agreement_public: bytes
    not_before: int
    not_after: int

    def __post_init__(self) -> None:
        if not 0 <= self.not_before < self.not_after <= _TIME_BOUND:
            raise EncodingError("the certificate ends before it starts")
        if self.not_after - self.not_before > CERTIFICATE_LIFETIME:
            raise LifetimeError("a device certificate lives for at most 30 days")
        if len(self.signing_public) != KEY_SIZE or len(self.agreement_public) != KEY_SIZE:
            raise EncodingError("device keys are 32 bytes each")

    def encode(self) -> bytes:
        """Return the bytes that the identity key signs."""
        return canonical.encode(
            {
                1: self.signing_public,
                2: self.agreement_public,
                3: self.not_before,
                4: self.not_after,
            }
        )

    def message(self, network_id: bytes, account: Address) -> bytes:
        """Return the 32 bytes under the signature: bound to one network and one account."""
        return tagged_hash(labels.DEVICE_CERTIFICATE, network_id + account.raw + self.encode())

    def check_time(self, now: int) -> None:
        """Raise NotYetValidError or ExpiredError unless it is valid at ``now``."""
        if self.not_before > now:
            raise NotYetValidError("the device certificate is not valid yet")
        if self.not_after <= now:
            raise ExpiredError("the device certificate is over")

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the map inside a chain; raises EncodingError or LifetimeError."""
        return cls(
            signing_public=fields.octets(1, KEY_SIZE),
            agreement_public=fields.octets(2, KEY_SIZE),
            not_before=fields.integer(3, _TIME_BOUND),
            not_after=fields.integer(4, _TIME_BOUND),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedDevice:
    """What a verified chain says: this device speaks for this account until ``not_after``."""

    account: Address
    identity_key: bytes
    signing_public: bytes
    agreement_public: bytes
    scope: Scope
    issued: int
    not_after: int


@dataclass(frozen=True, slots=True)
class CredentialChain:
    """Wallet, identity key, device: unchecked until ``verify``."""

    delegation: SignedDelegation
    certificate: DeviceCertificate
    signature: bytes

    @classmethod
    def issue(
        cls,
        delegation: SignedDelegation,
        identity_key: IdentityKey,
        device: DeviceKeys,
        *,
        not_before: int,
        not_after: int,
    ) -> Self:
        """Certify a device under a delegation; raises LifetimeError or EncodingError."""
        certificate = DeviceCertificate(
            signing_public=device.signing_public,
            agreement_public=device.agreement_public,
            not_before=not_before,
            not_after=not_after,
        )
        if identity_key.public != delegation.delegation.identity_key:
            raise EncodingError("the delegation names another identity key")
        message = certificate.message(delegation.network_id, delegation.delegation.account)
        return cls(delegation, certificate, identity_key.sign(message))

    def encode(self) -> bytes:
        """Return the wire form; raises EncodingError when it exceeds 3 KiB."""
        encoded = canonical.encode(
            {
                **self.delegation.to_fields(),
                4: self.certificate.encode(),
                5: self.signature,
            }
        )
        if len(encoded) > CREDENTIAL_CHAIN_MAXIMUM:
            raise EncodingError("a credential chain has at most 3 KiB")
        return encoded

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the wire form; raises EncodingError, KeyMaterialError or LifetimeError."""
        fields = canonical.decode_fields(
            data, known=_CHAIN_KNOWN, max_size=CREDENTIAL_CHAIN_MAXIMUM
        )
        body = fields.octets_up_to(4, CREDENTIAL_CHAIN_MAXIMUM)
        certificate = DeviceCertificate.from_fields(
            canonical.decode_fields(body, known=_CERTIFICATE_KNOWN, max_size=len(body))
        )
        if certificate.encode() != body:
            raise EncodingError("a certificate has exactly its four fields: all are signed")
        return cls(
            SignedDelegation.from_fields(fields), certificate, fields.octets(5, SIGNATURE_SIZE)
        )

    def verify(
        self,
        *,
        network_id: bytes,
        now: int,
        required_scope: Scope,
        revoked_before: Callable[[Address], int] | None = None,
        newest_issued: Callable[[Address], int] | None = None,
        eth_call: ChainReader | None = None,
    ) -> VerifiedDevice:
        """Check every link of the chain at ``now``; the arguments are DelegationChecks'.

        Raises what ``SignedDelegation.verify`` raises, and NotYetValidError, ExpiredError or
        BadSignatureError for the certificate.
        """
        checks = DelegationChecks(
            network_id=network_id,
            now=now,
            required_scope=required_scope,
            revoked_before=revoked_before,
            newest_issued=newest_issued,
            eth_call=eth_call,
        )
        return self.verify_with(checks)

    def verify_with(self, checks: DelegationChecks) -> VerifiedDevice:
        """Do what ``verify`` does with checks that are already gathered."""
        granted = self.delegation.delegation
        self.certificate.check_time(checks.now)
        message = self.certificate.message(self.delegation.network_id, granted.account)
        verify_schnorr(granted.identity_key, message, self.signature)
        self.delegation.verify(checks)
        return VerifiedDevice(
            account=granted.account,
            identity_key=granted.identity_key,
            signing_public=self.certificate.signing_public,
            agreement_public=self.certificate.agreement_public,
            scope=granted.scope,
            issued=granted.issued,
            not_after=min(granted.not_after, self.certificate.not_after),
        )
