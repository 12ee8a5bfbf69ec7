"""Whether a sign-in message is for us, is timely and was signed by its account (SPEC 20.4)."""

import hmac
import re
from typing import Final

from peerstream.identity.address import Address
from peerstream.identity.errors import (
    BadSignatureError,
    ChainRequiredError,
    SignatureFormatError,
)
from peerstream.identity.siwe.errors import (
    ChainIdMismatchError,
    DomainMismatchError,
    MessageExpiredError,
    MessageNotYetValidError,
    NonceMismatchError,
    SchemeMismatchError,
    SiweChainRequiredError,
    SiweSignatureError,
    UriMismatchError,
)
from peerstream.identity.siwe.grammar import origin_of
from peerstream.identity.siwe.message import SiweMessage, parse
from peerstream.identity.siwe.recap import read_recap
from peerstream.identity.siwe.timestamps import read_time
from peerstream.identity.wallet import (
    ECDSA_SIGNATURE_SIZE,
    WALLET_SIGNATURE_MAXIMUM,
    ChainReader,
    SignatureKind,
    verify_wallet_signature,
)

_HEXADECIMAL: Final = re.compile(r"0x(?:[0-9A-Fa-f]{2})++")
_OLD_V: Final = (0, 1)  # some wallets write the recovery bit without the 27


def verify(  # noqa: PLR0913 - what a relying party must know, by name
    message: SiweMessage | str,
    signature: bytes,
    *,
    domain: str,
    uri: str,
    nonce: str,
    chain_id: int,
    now: float,
    eth_call: ChainReader | None = None,
    recaps: bool = False,
) -> SignatureKind:
    """Check everything that a relying party must, and say how the account signed.

    ``domain`` is the authority of the page (``app.example``, ``localhost:3000``), compared as it is
    written. ``uri`` is an origin (``https://app.example``), under which any path is fine, or a URI
    with a path, which must be the same. ``now`` is in unix seconds. Without ``eth_call`` only plain
    accounts can sign in. ``recaps`` has ReCaps checked (ERC-5573, a draft); ``read_recap`` then
    gives what one allows. Raises a subclass of SiweError.
    """
    signed = parse(message) if isinstance(message, str) else message
    check_binding(signed, domain=domain, uri=uri, chain_id=chain_id)
    if not hmac.compare_digest(signed.nonce.encode(), nonce.encode()):
        raise NonceMismatchError("the nonce is another one")
    check_times(signed, now)
    if recaps:
        read_recap(signed)
    return verify_signature(signed.account, signed.digest(), signature, eth_call)


def read_signature(text: str) -> bytes:
    """Read what a wallet gave, 0x and hexadecimal digits; raises SiweSignatureError."""
    if len(text) > 2 + 2 * WALLET_SIGNATURE_MAXIMUM or not _HEXADECIMAL.fullmatch(text):
        raise SiweSignatureError("a signature is 0x and at most 2 048 bytes in hexadecimal")
    return bytes.fromhex(text[2:])


def check_binding(signed: SiweMessage, *, domain: str, uri: str, chain_id: int) -> None:
    """Check for whom a message was signed; raises a SiweMismatchError."""
    if signed.domain != domain:
        raise DomainMismatchError("the message was signed for another domain")
    origin = origin_of(uri)
    if signed.scheme is not None and signed.scheme != origin.partition(":")[0]:
        raise SchemeMismatchError("the message was signed for another scheme")
    theirs = origin_of(signed.uri) if uri == origin else signed.uri
    if theirs != uri:
        raise UriMismatchError("the message was signed for another URI")
    if signed.chain_id != chain_id:
        raise ChainIdMismatchError("the message was signed for another chain")


def check_times(signed: SiweMessage, now: float) -> None:
    """Check that ``not_before <= now < expiration_time``, where they are given."""
    if signed.expiration_time is not None and now >= read_time(signed.expiration_time):
        raise MessageExpiredError("the message has expired")
    if signed.not_before is not None and now < read_time(signed.not_before):
        raise MessageNotYetValidError("the message is not valid yet")


def verify_signature(
    account: Address, digest: bytes, signature: bytes, eth_call: ChainReader | None
) -> SignatureKind:
    """Apply the wallet rule (SPEC 1.6) to a digest; raises a SiweError.

    A plain signature whose last byte is 0 or 1 counts as if it were 27 or 28.
    """
    try:
        try:
            return verify_wallet_signature(account, digest, signature, eth_call=eth_call)
        except SignatureFormatError:
            if len(signature) != ECDSA_SIGNATURE_SIZE or signature[-1] not in _OLD_V:
                raise
            usual = signature[:-1] + bytes([signature[-1] + 27])
            return verify_wallet_signature(account, digest, usual, eth_call=eth_call)
    except BadSignatureError as error:
        raise SiweSignatureError(str(error)) from error
    except ChainRequiredError as error:
        raise SiweChainRequiredError(str(error)) from error
