"""What goes over the wire as JSON (SPEC 21.5); the names are those of better-auth's SIWE plugin."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from peerstream.identity.siwe import MESSAGE_MAXIMUM
from peerstream.identity.wallet import WALLET_SIGNATURE_MAXIMUM

Unix = Annotated[int, Field(description="Unix seconds.")]


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class NonceResponse(_Wire):
    """A nonce for one message."""

    nonce: str = Field(pattern="^[A-Za-z0-9]{8,250}$")


class VerifyRequest(_Wire):
    """A message and the wallet's signature; other fields are ignored."""

    message: str = Field(min_length=1, max_length=MESSAGE_MAXIMUM)
    signature: str = Field(min_length=1, max_length=2 + 2 * WALLET_SIGNATURE_MAXIMUM)


class User(_Wire):
    """Who is signed in; ``id`` is the CAIP-10 name."""

    id: str
    wallet_address: str
    chain_id: int


class VerifyResponse(_Wire):
    """The session is in cookies; ``token`` is for other services and for a quarter of an hour."""

    success: bool
    token: str
    user: User


class SessionResponse(_Wire):
    """Who is signed in, and until when without a refresh of the session."""

    user: User
    session_id: str
    expires_at: Unix


class StoredSession(_Wire):
    """One session as it is stored."""

    id: str
    chain_id: int
    signature_kind: str
    created_at: Unix
    checked_at: Unix
    expires_at: Unix
    current: bool


class StoredResponse(_Wire):
    """All that is stored about an account."""

    account: str
    sessions: list[StoredSession]


class DoneResponse(_Wire):
    """It is done."""

    success: bool


class KeySetResponse(BaseModel):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, str]]


class Problem(BaseModel):
    """Problem details (RFC 9457); ``code`` is for programs."""

    model_config = ConfigDict(title="Problem")

    type: str
    title: str
    status: int
    code: str
    detail: str
