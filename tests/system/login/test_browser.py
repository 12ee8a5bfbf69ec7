"""A person signs in, in headless Chromium, with wallets that eth-account signs for."""

import json
import shutil
import time

import pytest

from peerstream.identity.login.auth import SiweAuth
from peerstream.identity.login.chain import RpcReader
from peerstream.identity.login.settings import LoginSettings
from tests.identity.login.world import MANY, SECRET, make_store
from tests.system.login import chain
from tests.system.login.control import Control, serving
from tests.system.login.programs import (
    BROWSER,
    EXAMPLES,
    SDK,
    Server,
    example,
    npm_packages,
    run,
    tool,
)

NAMES = [
    "login and session",
    "refresh",
    "two tabs refresh at once",
    "logout",
    "logout everywhere",
    "rejected signature",
    "two wallets announced",
    "wrong domain",
    "wrong chain",
    "replayed nonce, two tabs racing",
    "expired",
    "account switched",
    "contract wallet, and its owner changes",
    "contract wallet that is not deployed",
    "account that points at a contract",
    "one signature logs in and grants a delegation",
    "show and delete what is stored",
    "the React page",
    "another site's page frames, posts and scripts in vain",
    "a neighbour cannot plant a cookie",
]


class Clock:
    """The machine's clock, and what a scenario puts on top."""

    def __init__(self):
        self.offset = 0

    def __call__(self):
        return time.time() + self.offset


class Late:
    """An application that is made when the port is known: an origin has one in it."""

    def __init__(self):
        self.app = None

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


def site(late, origin, clock, devnet, store, page="page"):
    settings = LoginSettings(
        origins=[origin],
        chains={1: None, devnet.id: RpcReader(devnet.url)},
        nonce_rate=MANY,
        verify_rate=MANY,
    )
    auth = SiweAuth(settings, store, secret=SECRET, clock=clock)
    late.app = example("app").make_app(auth, EXAMPLES / page)
    return origin


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Play all scenarios in one browser; each has contexts and wallets of its own."""
    npm_packages(BROWSER)
    npm_packages(SDK)
    run(tool("node"), "bundle.mjs", cwd=SDK)
    clock, apps = Clock(), [Late(), Late(), Late()]
    options = {"lifespan": "off"}
    with (
        chain.running() as devnet,
        serving(Control(clock, devnet)) as control,
        Server.serving(apps[0], **options) as first,
        Server.serving(apps[1], **options) as second,
        Server.serving(apps[2], **options) as third,
    ):
        stores = [make_store("sqlite", tmp_path_factory.mktemp("login")) for _ in apps]
        config = {
            "site": site(apps[0], f"http://app.localhost:{first}", clock, devnet, stores[0]),
            "evil": site(apps[1], f"http://evil.localhost:{second}", clock, devnet, stores[1]),
            "react": site(
                apps[2], f"http://react.localhost:{third}", clock, devnet, stores[2], "react"
            ),
            "control": control,
            "chain": devnet.id,
            "chromium": shutil.which("chromium"),
        }
        printed = run(tool("node"), "scenarios.mjs", json.dumps(config), cwd=BROWSER)
    lines = [json.loads(line) for line in printed.splitlines()]
    return {line["name"]: line["error"] for line in lines}


def test_every_scenario_is_listed(outcomes):
    assert list(outcomes) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_scenario(outcomes, name):
    assert outcomes[name] is None, outcomes[name]
