"""Sign-in for a FastAPI application: a router, a dependency, OpenAPI security (SPEC 21.5).

auth = SiweAuth(LoginSettings(origins=["https://app.example"]), store, secret=secret)
app.include_router(auth.router)

@app.get("/hello")
def hello(wallet: Annotated[Wallet, Depends(auth.current_wallet)]) -> str:
    return wallet.address
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.security import APIKeyCookie, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials

from peerstream.identity.login.cookies import SESSION
from peerstream.identity.login.errors import LoginError
from peerstream.identity.login.refusals import refused
from peerstream.identity.login.router import make_router
from peerstream.identity.login.secrets import Entropy
from peerstream.identity.login.service import LoginService, os_entropy, subject_of
from peerstream.identity.login.settings import LoginSettings
from peerstream.identity.login.store import Session, Store

_COOKIE: Final = APIKeyCookie(
    name=SESSION.key, scheme_name="session", description="Set by /siwe/verify.", auto_error=False
)
_BEARER: Final = HTTPBearer(
    scheme_name="token",
    bearerFormat="JWT",
    description="The token of /siwe/verify and /siwe/refresh.",
    auto_error=False,
)


@dataclass(frozen=True, slots=True)
class Wallet:
    """Who makes a request: the account, ERC-55, and the chain for which it signed.

    Bind what you store to ``address``: a name that resolves to it may change hands.
    """

    address: str
    chain_id: int
    session: Session

    @property
    def id(self) -> str:
        """The CAIP-10 name."""
        return subject_of(self.session)


class SiweAuth:
    """Sign-In with Ethereum for one application.

    store: None keeps sessions in memory, for tests. secret: 32 random bytes, the same for all
    replicas and at every start. clock: unix seconds. Raises LoginSettingsError or OriginListError.
    """

    def __init__(
        self,
        settings: LoginSettings,
        store: Store | None = None,
        *,
        secret: bytes | None = None,
        clock: Callable[[], float] = time.time,
        entropy: Entropy = os_entropy,
    ) -> None:
        self.service: Final = LoginService(
            settings, store, secret=secret, clock=clock, entropy=entropy
        )
        self.current_wallet: Final = _dependency(self.service)
        self.router: Final[APIRouter] = make_router(self.service, _session_of(self.service))
        # for annotations: `wallet: auth.CurrentWallet`
        self.CurrentWallet: Final[Any] = Annotated[Wallet, Depends(self.current_wallet)]


def _session_of(service: LoginService) -> Callable[..., Session]:
    def session(
        request: Request,
        cookie: Annotated[str | None, Depends(_COOKIE)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> Session:
        try:
            if bearer is not None:
                return service.bearer(bearer.credentials)
            # a cookie comes along with whatever page asks; a bearer token does not
            service.origins.check(request)
            return service.session(SESSION.read(request) if cookie else None)
        except LoginError as error:
            raise refused(error) from error

    return session


def _dependency(service: LoginService) -> Callable[..., Wallet]:
    session = _session_of(service)

    def current_wallet(found: Annotated[Session, Depends(session)]) -> Wallet:
        return Wallet(found.account, found.chain_id, found)

    return current_wallet
