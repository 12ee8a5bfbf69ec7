"""Serving the wallet's page until it ended, a person declined or time is over (SPEC 22.6)."""

import webbrowser
from collections.abc import Callable
from functools import partial
from typing import Final

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from peerstream.identity.signer import TypedData
from peerstream.node.cli.errors import WalletDeclinedError, WalletTimeoutError
from peerstream.node.cli.wallet_page.app import WalletPage

PATIENCE_S: Final = 300.0
_HEADER_MAX: Final = 16_384


async def ask_browser(
    typed: TypedData,
    accept: Callable[[bytes], None],
    announce: Callable[[str], None],
    *,
    open_browser: bool,
) -> None:
    """Serve the page until a signature was accepted.

    announce: gets the page's URL when it is there. Raises WalletDeclinedError, WalletTimeoutError,
    and the StoreError for which a signature could not be kept.
    """
    ended = trio.Event()
    page = WalletPage(typed, accept, ended.set)
    async with trio.open_nursery() as nursery:
        # Starlette's types of ASGI are wider than Hypercorn's
        serving = partial(serve, page.app, _config(), shutdown_trigger=ended.wait)  # type: ignore[arg-type]
        [bound] = await nursery.start(serving)
        page.serve_at(int(bound.rpartition(":")[2]))
        announce(page.url)
        with trio.move_on_after(PATIENCE_S):
            async with trio.open_nursery() as opening:
                if open_browser:
                    opening.start_soon(_open, page.opening_url)
                await ended.wait()
                opening.cancel_scope.cancel()
        ended.set()
    account = typed["message"]["account"]
    if page.failure is not None:
        raise page.failure
    if page.declined:
        raise WalletDeclinedError(account)
    if not page.signed:
        raise WalletTimeoutError(account)


async def _open(url: str) -> None:
    await trio.to_thread.run_sync(webbrowser.open, url, abandon_on_cancel=True)


def _config() -> Config:
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.accesslog = None
    config.loglevel = "ERROR"
    config.h11_max_incomplete_size = _HEADER_MAX
    config.graceful_timeout = 1
    config.keep_alive_timeout = 5
    return config
