"""A login service whose time stands still, an application that uses it, and browsers."""

from typing import Annotated

from eth_account import Account
from fastapi import Depends, FastAPI
from starlette.testclient import TestClient

from peerstream.identity.login.auth import SiweAuth, Wallet
from peerstream.identity.login.database import Database
from peerstream.identity.login.memory import MemoryStore
from peerstream.identity.login.migrate import upgrade
from peerstream.identity.login.settings import LoginSettings
from peerstream.identity.login.sql import SqlStore
from peerstream.identity.siwe import SiweMessage, write_time
from peerstream.identity.web.limits import Rate
from peerstream.identity.web.problem import install_problems
from tests.identity.samples import FixedEntropy, fixed
from tests.identity.siwe.messages import sign

ORIGIN = "https://app.example"
OTHER = "https://other.example:8443"
SECRET = fixed("login secret")
KEY = fixed("login wallet")
NOW = 1_800_000_000
MANY = Rate(1_000_000, 1_000_000)
SESSION, REFRESH, BINDING = "__Host-psp-session", "__Host-psp-refresh", "__Host-psp-login"


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


def settings(**changes):
    values = {"origins": [ORIGIN, OTHER], "nonce_rate": MANY, "verify_rate": MANY}
    return LoginSettings(**values | changes)


def make_store(kind, directory):
    if kind == "memory":
        return MemoryStore()
    database = Database(f"sqlite:///{directory}/login.db")
    upgrade(database)
    return SqlStore(database)


class World:
    """One service, its application, and a clock."""

    def __init__(
        self, store=None, entropy=None, secret=SECRET, clock=None, *, problems=True, **changes
    ):
        self.clock = clock or Clock()
        self.store = store or MemoryStore()
        self.auth = SiweAuth(
            settings(**changes),
            self.store,
            secret=secret,
            clock=self.clock,
            entropy=entropy or FixedEntropy("login"),
        )
        self.app = FastAPI()
        if problems:
            install_problems(self.app)
        self.app.include_router(self.auth.router)

        @self.app.get("/hello")
        def hello(wallet: Annotated[Wallet, Depends(self.auth.current_wallet)]) -> str:
            return wallet.id

        @self.app.post("/change")
        def change(wallet: self.auth.CurrentWallet) -> str:
            return wallet.address

    def browser(self, key=KEY, origin=ORIGIN):
        return Browser(self, key, origin)


class Browser:
    """A client with a cookie jar and a wallet."""

    def __init__(self, world, key, origin):
        self.world, self.key, self.origin = world, key, origin
        self.account = Account.from_key(key).address
        self.http = TestClient(world.app, base_url=origin, follow_redirects=False)

    def nonce(self):
        answer = self.http.post("/siwe/nonce", json={})
        assert answer.status_code == 200, answer.text
        return answer.json()["nonce"]

    def message(self, **changes):
        values = {
            "domain": self.origin.partition("://")[2],
            "address": self.account,
            "uri": self.origin,
            "chain_id": 1,
            "issued_at": write_time(int(self.world.clock())),
        }
        nonce = changes.pop("nonce", None) or self.nonce()
        return SiweMessage(**values | {"nonce": nonce} | changes)

    def send(self, signed, signature=None, **options):
        signature = sign(signed, self.key) if signature is None else signature
        body = {"message": str(signed), "signature": "0x" + signature.hex()}
        return self.http.post("/siwe/verify", json=body, **options)

    def sign_in(self, **changes):
        answer = self.send(self.message(**changes))
        assert answer.status_code == 200, answer.text
        return answer

    def cookie(self, name=SESSION):
        return self.http.cookies.get(name)


def code(answer, status=401):
    """The code of a refusal, which is always problem+json and never kept."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body.keys() == {"type", "title", "status", "code", "detail"}
    assert body["status"] == status
    return body["code"]
