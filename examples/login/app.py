"""A page that one signs in to with a wallet, and an API behind it.

    npm ci --prefix sdk/login && npm run bundle --prefix sdk/login     # the page's JavaScript
    python examples/login/app.py                                       # then open the address

Plain accounts sign in at once; for contract wallets, give your node: RPC=http://127.0.0.1:8545.
"""

import os
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI
from fastapi.staticfiles import StaticFiles

from peerstream.identity.login.auth import SiweAuth, Wallet
from peerstream.identity.login.chain import RpcReader
from peerstream.identity.login.settings import LoginSettings
from peerstream.identity.web.headers import PAGE_HEADERS, HeadersMiddleware
from peerstream.identity.web.problem import install_problems

HERE = Path(__file__).parent
BUNDLE = HERE.parents[1] / "sdk" / "login" / "dist" / "bundle"


def make_app(auth: SiweAuth, page: Path = HERE / "page") -> FastAPI:
    """Return an application with the login, one route that knows its caller, and the page."""
    app = FastAPI(docs_url=None, redoc_url=None, redirect_slashes=False)
    install_problems(app)
    app.include_router(auth.router)

    @app.get("/api/greeting")
    def greeting(wallet: Annotated[Wallet, Depends(auth.current_wallet)]) -> dict[str, str]:
        return {"greeting": f"Hello, {wallet.address}"}

    app.mount("/bundle", StaticFiles(directory=BUNDLE))
    app.mount("/", StaticFiles(directory=page, html=True))
    app.add_middleware(HeadersMiddleware, headers=PAGE_HEADERS)
    return app


def main() -> None:
    """Serve on localhost; sessions end with the process, since the store is in memory."""
    port = int(os.environ.get("PORT", "3000"))
    rpc = os.environ.get("RPC")
    chains = {int(os.environ.get("CHAIN_ID", "1")): RpcReader(rpc) if rpc else None}
    settings = LoginSettings(origins=[f"http://localhost:{port}"], chains=chains)
    page = HERE / os.environ.get("PAGE", "page")
    uvicorn.run(make_app(SiweAuth(settings), page), port=port, access_log=False)


if __name__ == "__main__":
    main()
