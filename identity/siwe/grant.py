"""One signature for a login and a delegation: a sign-in message that also grants (SPEC 20.6).

The wallet shows what a delegation says in a sentence that the verifier knows, and in the last
resource; a delegation's signature field then holds the message and the wallet's signature of it.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from peerstream.identity import labels
from peerstream.identity.address import Address
from peerstream.identity.siwe.errors import GrantError, SiweFormatError
from peerstream.identity.siwe.message import MESSAGE_MAXIMUM, SiweMessage, parse
from peerstream.identity.siwe.timestamps import read_time
from peerstream.identity.wallet import ChainReader, SignatureKind, verify_wallet_signature

SCHEME: Final = "psp:delegate?"
LOGIN_SENTENCE: Final = "Sign in to this site."
_SUFFIX: Final = hashlib.sha256(labels.SIWE_GRANT).digest()
_LENGTH: Final = 2


@dataclass(frozen=True, slots=True)
class GrantTerms:
    """What the message must say: who, the sentence, the last resource, and when (unix seconds)."""

    account: Address
    sentence: str
    resource: str
    issued: int

    @property
    def statement(self) -> str:
        """The whole statement of the message."""
        return f"{LOGIN_SENTENCE} {self.sentence}"


def is_grant(signature: bytes) -> bool:
    """Tell whether a delegation was signed in a sign-in message."""
    return signature.endswith(_SUFFIX)


def wrap_grant(message: SiweMessage, signature: bytes) -> bytes:
    """Return what goes into the delegation's signature field: signature, text, suffix."""
    return b"".join(
        (len(signature).to_bytes(_LENGTH), signature, str(message).encode("ascii"), _SUFFIX)
    )


def verify_grant(
    terms: GrantTerms, signature: bytes, eth_call: ChainReader | None
) -> SignatureKind:
    """Check that a wrapped message says exactly this, and that the account signed it.

    Domain, nonce and the message's own times are the login's and do not matter here. Raises
    GrantError, or what ``verify_wallet_signature`` raises.
    """
    message, inner = _unwrap(signature)
    if message.account != terms.account:
        raise GrantError("the message is another account's")
    if message.statement != terms.statement:
        raise GrantError("the wallet showed another sentence")
    granting = [r for r in message.resources or () if r.startswith(SCHEME)]
    if granting != [terms.resource] or (message.resources or ())[-1] != terms.resource:
        raise GrantError("the message grants something else")
    if int(read_time(message.issued_at)) != terms.issued:
        raise GrantError("the message was issued at another time")
    return verify_wallet_signature(terms.account, message.digest(), inner, eth_call=eth_call)


def _unwrap(signature: bytes) -> tuple[SiweMessage, bytes]:
    body = signature[: -len(_SUFFIX)]
    size = int.from_bytes(body[:_LENGTH])
    inner, text = body[_LENGTH : _LENGTH + size], body[_LENGTH + size :]
    if len(inner) != size or len(text) > MESSAGE_MAXIMUM:
        raise GrantError("the wrapper is cut")
    try:
        return parse(text.decode("ascii")), inner
    except (SiweFormatError, UnicodeDecodeError) as error:
        raise GrantError("there is no sign-in message in the wrapper") from error
