"""The wallet's page on a real socket: as long as it must be there, and no longer."""

import socket
import urllib.error
import webbrowser
from functools import partial

import pytest
import trio

from peerstream.node.cli.errors import WalletDeclinedError, WalletTimeoutError
from peerstream.node.cli.wallet_page.serving import ask_browser
from tests.identity.samples import NETWORK, SIGNED, WALLET
from tests.node.cli.wallet_page.visitor import Visitor

TYPED = SIGNED.delegation.typed_data(NETWORK)


@pytest.fixture
def visitor(monkeypatch):
    visitor = Visitor(WALLET)
    monkeypatch.setattr(webbrowser, "open", visitor)
    return visitor


async def asked(taken, urls, *, open_browser=True):
    with trio.fail_after(600):
        await ask_browser(TYPED, taken.append, urls.append, open_browser=open_browser)


async def test_a_browser_is_opened_and_its_signature_taken(visitor):
    taken, urls = [], []
    await asked(taken, urls)
    assert visitor.answers == [200]
    assert taken == [WALLET.sign_typed_data(TYPED)]
    assert visitor.page == urls[0]


async def test_it_ends_with_its_use(visitor):
    urls = []
    await asked([], urls)
    with pytest.raises(urllib.error.URLError):
        await trio.to_thread.run_sync(visitor.visit, urls[0])


async def test_declining_has_a_name(visitor):
    visitor.wallets = ()
    taken = []
    with pytest.raises(WalletDeclinedError):
        await asked(taken, [])
    assert taken == []


async def test_nobody_comes(autojump_clock):
    urls = []
    with pytest.raises(WalletTimeoutError):
        await asked([], urls, open_browser=False)
    assert trio.current_time() < 310
    assert len(urls) == 1


async def test_it_listens_on_loopback_alone(visitor):
    found = []

    def look(url):
        port = int(url.split(":")[2].split("/")[0])
        with socket.socket() as other:
            other.bind(("127.0.0.2", port))  # free: only 127.0.0.1 is taken
        found.append(port)
        visitor(url)

    async with trio.open_nursery() as nursery:
        opened = partial(trio.to_thread.run_sync, look)
        await ask_browser(
            TYPED, lambda _: None, lambda url: nursery.start_soon(opened, url), open_browser=False
        )
    assert found


async def test_a_connection_that_says_nothing_does_not_hold_it_up(visitor):
    silent = []

    def announce(url):
        port = int(url.split(":")[2].split("/")[0])
        silent.append(socket.create_connection(("127.0.0.1", port)))

    with trio.fail_after(60):
        await ask_browser(TYPED, lambda _: None, announce, open_browser=True)
    silent[0].close()
