"""The face that all ways to run a devnet chain share, and the embedded one (SPEC 8.7)."""

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from peerstream.node.chain.deploy import Deployment
from peerstream.node.chain.devnet import http, jsonrpc
from peerstream.node.chain.devnet.accounts import BALANCE, dev_accounts
from peerstream.node.chain.devnet.ledger import Ledger
from peerstream.node.chain.devnet.methods import Methods
from peerstream.node.chain.devnet.state import SavedState

HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ChainOptions:
    """port 0: any free one. time: of the chain at its start, unix seconds. state: its file."""

    port: int
    time: int
    state: Path | None


@dataclass(frozen=True, slots=True)
class RunningChain:
    """A chain that answers at `url`. known: what its state file says was deployed on it.

    save: writes the state, given the deployment, just before the chain ends.
    """

    url: str
    known: Deployment | None
    save: Callable[[Deployment], None]


Backend = Callable[[ChainOptions], AbstractAsyncContextManager[RunningChain]]


@asynccontextmanager
async def embedded(options: ChainOptions) -> AsyncIterator[RunningChain]:
    """Run py-evm in this process. Raises StateFileError, OSError for a port in use."""
    saved = None
    if options.state is not None and options.state.exists():
        saved = SavedState.load(options.state)
    ledger, methods = _chain(options.time, saved)

    def save(deployment: Deployment) -> None:
        if options.state is not None:
            SavedState.of(ledger, deployment).save(options.state)

    (listener,) = await trio.open_tcp_listeners(options.port, host=HOST)
    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(http.serve, listener, lambda body: jsonrpc.answer(body, methods))
        known = None if saved is None else saved.deployment
        yield RunningChain(f"http://{HOST}:{port}", known, save)
        nursery.cancel_scope.cancel()


def _chain(start: int, saved: SavedState | None) -> tuple[Ledger, Methods]:
    accounts = dev_accounts()
    balances = {account.address.raw: BALANCE for account in accounts}
    ledger = Ledger(start if saved is None else saved.genesis_time, balances, os.urandom)
    ledger.offset = start - int(time.time())
    if saved is not None:
        saved.restore(ledger)
    return ledger, Methods(ledger, accounts, time.time)
