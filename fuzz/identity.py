"""Targets for chapters 1 and 2: documents, signatures, records, texts that people paste."""

from fuzz.target import Target, codec
from peerstream.identity import canonical
from peerstream.identity.address import Address
from peerstream.identity.contact import ContactCard
from peerstream.identity.delegation import SignedDelegation
from peerstream.identity.descriptor.record import Record
from peerstream.identity.device import CredentialChain
from peerstream.identity.errors import BadSignatureError, IdentityError, KeyMaterialError
from peerstream.identity.keys import verify_ed25519, verify_schnorr
from peerstream.identity.siwe import SiweError, parse, read_recap
from peerstream.identity.wallet import recover
from tests.identity.samples import CHAIN, DEVICE, IDENTITY, NOW, RULES, SIGNED, WALLET, record
from tests.identity.siwe.messages import vectors

RECORD = record()
CARD = str(ContactCard(WALLET.address, IDENTITY.public, bytes(32)))
DIGEST = bytes(range(32))


def _canonical(data: bytes) -> object:
    return canonical.decode(data, max_size=4_096)


def _record(data: bytes) -> None:
    Record.parse(data).verify(now=NOW, rules=RULES)


def _card(data: bytes) -> None:
    text = data.decode("latin-1")
    if str(ContactCard.parse(text)).lower() != text.lower():
        raise AssertionError("two spellings of one card")


def _address(data: bytes) -> None:
    Address.parse(data.decode("latin-1"))


def _ed25519(data: bytes) -> None:
    verify_ed25519(data[:32], DIGEST, data[32:])


def _schnorr(data: bytes) -> None:
    verify_schnorr(data[:32], DIGEST, data[32:])


def _sign_in(data: bytes) -> bytes:
    read = parse(data.decode("latin-1"))
    read_recap(read)
    return str(read).encode("latin-1")


MESSAGES = [
    case["message"].encode()
    for name in ("parsing_positive", "recap_positive")
    for case in vectors(name).values()
    if isinstance(case["message"], str)
]

TARGETS: list[Target] = [
    codec("canonical", _canonical, [SIGNED.encode(), CHAIN.encode()], IdentityError,
          encode=canonical.encode),
    codec("delegation", SignedDelegation.decode, [SIGNED.encode()], IdentityError),
    codec("credential-chain", CredentialChain.decode, [CHAIN.encode()], IdentityError),
    codec("descriptor-record", _record, [RECORD], IdentityError),
    codec("contact-card", _card, [CARD.encode()], IdentityError),
    codec("address", _address, [str(WALLET.address).encode()], IdentityError),
    codec("wallet-signature", lambda data: recover(DIGEST, data), [SIGNED.signature],
          IdentityError),
    codec("sign-in", _sign_in, MESSAGES, SiweError, encode=lambda text: text),
    codec("ed25519", _ed25519, [DEVICE.signing_public + DEVICE.sign(DIGEST)], KeyMaterialError,
          BadSignatureError),
    codec("schnorr", _schnorr, [IDENTITY.public + IDENTITY.sign(DIGEST)], KeyMaterialError,
          BadSignatureError),
]  # fmt: skip
