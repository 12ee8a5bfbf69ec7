"""Who is who: addresses, keys, delegations and descriptors; bytes in, bytes out (SPEC 1, 2)."""

from peerstream.identity.address import Address
from peerstream.identity.blinding import BlindedKey, blind_public, blind_secret
from peerstream.identity.contact import ContactCard
from peerstream.identity.delegation import Delegation, DelegationChecks, Scope, SignedDelegation
from peerstream.identity.descriptor import (
    Audience,
    DescriptorContents,
    DescriptorKey,
    HandshakeKey,
    IntroductionPoint,
    Record,
    RecordRules,
    VerifiedRecord,
    open_descriptor,
    seal_descriptor,
)
from peerstream.identity.device import CredentialChain, VerifiedDevice
from peerstream.identity.errors import IdentityError
from peerstream.identity.keys import DeviceKeys, IdentityKey
from peerstream.identity.secret import Secret
from peerstream.identity.signer import LocalSigner, Signer
from peerstream.identity.wallet import ChainReader, SignatureKind, verify_wallet_signature

__all__ = [
    "Address",
    "Audience",
    "BlindedKey",
    "ChainReader",
    "ContactCard",
    "CredentialChain",
    "Delegation",
    "DelegationChecks",
    "DescriptorContents",
    "DescriptorKey",
    "DeviceKeys",
    "HandshakeKey",
    "IdentityError",
    "IdentityKey",
    "IntroductionPoint",
    "LocalSigner",
    "Record",
    "RecordRules",
    "Scope",
    "Secret",
    "SignatureKind",
    "SignedDelegation",
    "Signer",
    "VerifiedDevice",
    "VerifiedRecord",
    "blind_public",
    "blind_secret",
    "open_descriptor",
    "seal_descriptor",
    "verify_wallet_signature",
]
