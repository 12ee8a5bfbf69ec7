"""One rule for every kind of wallet signature (SPEC 1.6; ERC-1271, ERC-6492, EIP-7702).

The order is ERC-6492's: its suffix, then code at the account, then ERC-1271, then ecrecover. An
account whose code is an EIP-7702 designator may still sign with its own key, since that key can
change the designator at any time; a contract's old key never counts.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

import coincurve

from peerstream.identity import abi, deployless
from peerstream.identity.address import Address
from peerstream.identity.errors import (
    BadSignatureError,
    CallRevertedError,
    ChainRequiredError,
    SignatureFormatError,
    WalletRefusedError,
)
from peerstream.identity.keys import CURVE_ORDER

WALLET_SIGNATURE_MAXIMUM: Final = 2_048  # with a delegation and a certificate below 3 KiB
ECDSA_SIGNATURE_SIZE: Final = 65
ERC6492_SUFFIX: Final = bytes.fromhex("6492" * 16)
_DESIGNATOR_PREFIX: Final = bytes.fromhex("ef0100")
_DESIGNATOR_SIZE: Final = 23
_IS_VALID_SIGNATURE: Final = bytes.fromhex("1626ba7e")


class SignatureKind(IntEnum):
    """How a signature was found to be the account's."""

    PLAIN = 0  # ecrecover, no code at the account (EOA)
    CONTRACT = 1  # ERC-1271
    COUNTERFACTUAL = 2  # ERC-6492, the contract is not deployed yet
    DESIGNATED = 3  # EIP-7702: code is delegated, the account's own key signed


class ChainReader(Protocol):
    """Reads a chain at one finalized block, with a bound on gas; given by the caller.

    Implementations must not send an account to an endpoint that the user did not mark as theirs.
    """

    def code(self, address: Address) -> bytes:
        """Return the code at an address, empty for none."""

    def call(self, to: Address | None, data: bytes) -> bytes:
        """Return what ``eth_call`` returns; ``to`` None runs the data as creation code.

        Raises CallRevertedError when the call reverts.
        """


@dataclass(frozen=True, slots=True)
class _Counterfactual:
    """An ERC-6492 wrapper: how to bring the contract into being, and what it shall then check."""

    factory: Address
    factory_call: bytes
    signature: bytes


def verify_wallet_signature(
    address: Address, digest: bytes, signature: bytes, *, eth_call: ChainReader | None = None
) -> SignatureKind:
    """Check that the account signed the 32 bytes ``digest``, and say how.

    Without a chain reader only plain accounts can be checked.
    Raises SignatureFormatError, BadSignatureError, WalletRefusedError or ChainRequiredError.
    """
    if len(signature) > WALLET_SIGNATURE_MAXIMUM:
        raise SignatureFormatError("the wallet's signature is too long")
    if eth_call is None:
        if len(signature) != ECDSA_SIGNATURE_SIZE and not _is_compact(signature):
            raise ChainRequiredError("only a contract can check this signature")
        _verify_own_key(address, digest, signature)
        return SignatureKind.PLAIN
    code = eth_call.code(address)
    if signature.endswith(ERC6492_SUFFIX):
        return _verify_wrapped(eth_call, address, code, digest, signature)
    if not code:
        _verify_own_key(address, digest, signature)
        return SignatureKind.PLAIN
    return _verify_with_code(eth_call, address, code, digest, signature)


def recover(digest: bytes, signature: bytes) -> Address:
    """Return the account whose key made a 65-byte ECDSA signature over 32 bytes.

    Raises SignatureFormatError for v other than 27 and 28, high s or another length,
    BadSignatureError when no key fits.
    """
    if len(signature) != ECDSA_SIGNATURE_SIZE:
        raise SignatureFormatError("an account's signature is 65 bytes: r, s, v")
    r, s, v = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64]), signature[64]
    if v not in (27, 28):
        raise SignatureFormatError("v is neither 27 nor 28")
    if s > CURVE_ORDER // 2:
        raise SignatureFormatError("s is in the upper half of the group order")
    if not (0 < r < CURVE_ORDER and s):
        raise SignatureFormatError("r or s is out of range")
    try:
        key = coincurve.PublicKey.from_signature_and_message(
            signature[:64] + bytes([v - 27]), digest, hasher=None
        )
    except ValueError as error:
        raise BadSignatureError("no key made this signature") from error
    return Address.of_public_key(key.format(compressed=False)[1:])


def _is_compact(signature: bytes) -> bool:
    return len(signature) == ECDSA_SIGNATURE_SIZE - 1


def _verify_own_key(address: Address, digest: bytes, signature: bytes) -> None:
    if recover(digest, signature) != address:
        raise BadSignatureError("another account made this signature")


def _verify_with_code(
    reader: ChainReader, address: Address, code: bytes, digest: bytes, signature: bytes
) -> SignatureKind:
    if _accepts(reader, address, digest, signature):
        return SignatureKind.CONTRACT
    if len(code) != _DESIGNATOR_SIZE or not code.startswith(_DESIGNATOR_PREFIX):
        raise WalletRefusedError("the account's contract does not accept the signature")
    _verify_own_key(address, digest, signature)
    return SignatureKind.DESIGNATED


def _verify_wrapped(
    reader: ChainReader, address: Address, code: bytes, digest: bytes, signature: bytes
) -> SignatureKind:
    """ERC-6492: a deployed contract judges the inner signature, else one is made for the call.

    When a deployed contract refuses, the wrapper's call is tried too: it may prepare a contract
    that is not ready, as the standard allows.
    """
    wrapped = _unwrap(signature)
    if code and _accepts(reader, address, digest, wrapped.signature):
        return SignatureKind.CONTRACT
    program = deployless.creation_code(
        wrapped.factory, wrapped.factory_call, address, _question(digest, wrapped.signature)
    )
    if not _is_magic(reader, None, program):
        raise WalletRefusedError("the contract that would be made does not accept the signature")
    return SignatureKind.COUNTERFACTUAL


def _unwrap(signature: bytes) -> _Counterfactual:
    body = signature[: -len(ERC6492_SUFFIX)]
    return _Counterfactual(
        factory=abi.read_address(body, 0),
        factory_call=abi.read_bytes(body, 1),
        signature=abi.read_bytes(body, 2),
    )


def _accepts(reader: ChainReader, address: Address, digest: bytes, signature: bytes) -> bool:
    return _is_magic(reader, address, _question(digest, signature))


def _question(digest: bytes, signature: bytes) -> bytes:
    return _IS_VALID_SIGNATURE + abi.encode_word_and_bytes(digest, signature)


def _is_magic(reader: ChainReader, to: Address | None, data: bytes) -> bool:
    try:
        answer = reader.call(to, data)
    except CallRevertedError:
        return False
    return answer[:32] == _IS_VALID_SIGNATURE.ljust(32, b"\0")
