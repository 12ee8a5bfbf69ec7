"""What a login service is told once (SPEC 21.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from peerstream.identity.login.errors import LoginSettingsError
from peerstream.identity.wallet import ChainReader
from peerstream.identity.web.limits import Rate
from peerstream.identity.web.origins import Origins

SECRET_SIZE: Final = 32
NONCE_RATE: Final = Rate(30, 60)
VERIFY_RATE: Final = Rate(10, 30)  # a person signs a few times, and mistypes
_CONTRACT_CHECK_MAXIMUM: Final = 3_600  # EIP-4361: a contract may change its mind at any time


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSettings:
    """All times are in seconds. Raises LoginSettingsError or OriginListError.

    origins: the pages that may log in, ``https://app.example``. chains: which chain ids, each with
    what asks its contracts, or None where only plain accounts may sign in. issuer, audience: of the
    tokens. contract_check: how old the contract's word for a session may become.
    """

    origins: Sequence[str]
    chains: Mapping[int, ChainReader | None] = field(default_factory=lambda: {1: None})
    issuer: str = ""
    audience: str = ""
    nonce_seconds: int = 900
    session_seconds: int = 3_600
    refresh_seconds: int = 30 * 86_400
    family_seconds: int = 90 * 86_400
    token_seconds: int = 900
    key_seconds: int = 30 * 86_400
    contract_check: int = 900
    recaps: bool = False
    nonce_rate: Rate = NONCE_RATE
    verify_rate: Rate = VERIFY_RATE

    def __post_init__(self) -> None:
        list(Origins(self.origins))
        if not self.chains:
            raise LoginSettingsError("a login is for at least one chain")
        periods = (self.nonce_seconds, self.session_seconds, self.refresh_seconds,
                   self.family_seconds, self.token_seconds, self.key_seconds)  # fmt: skip
        if min(periods) < 1 or not 1 <= self.contract_check <= _CONTRACT_CHECK_MAXIMUM:
            raise LoginSettingsError("a period is a second or more, contract_check an hour or less")

    @property
    def token_issuer(self) -> str:
        """Who vouches for the tokens: the first origin, unless it is set."""
        return self.issuer or self.origins[0]

    @property
    def token_audience(self) -> str:
        """Whom the tokens are for: the issuer, unless it is set."""
        return self.audience or self.token_issuer
