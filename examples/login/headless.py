"""Sign in without a browser, with a key of this machine: for scripts and servers.

    python examples/login/headless.py http://localhost:3000 key.txt

key.txt holds 32 bytes in hexadecimal. Prints who is signed in, and the token for other services.
"""

import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from eth_account import Account
from eth_account.messages import encode_defunct

from peerstream.identity.siwe import SiweMessage, write_time


def sign_in(site: str, key: bytes, chain_id: int = 1) -> dict[str, object]:
    """Sign in to a site, whose origin is ``site``; returns the server's answer."""
    account = Account.from_key(key)
    with httpx2.Client(base_url=site) as http:
        # The nonce counts together with the cookie that comes with it, so one client does both.
        nonce = http.post("/siwe/nonce").raise_for_status().json()["nonce"]
        message = SiweMessage(
            domain=urlsplit(site).netloc,
            address=account.address,
            statement="Sign in a script.",
            uri=site,
            chain_id=chain_id,
            nonce=nonce,
            issued_at=write_time(int(time.time())),
        )
        signed = account.sign_message(encode_defunct(text=str(message)))
        body = {"message": str(message), "signature": "0x" + bytes(signed.signature).hex()}
        cookies = {"cookie": "; ".join(f"{c.name}={c.value}" for c in http.cookies.jar)}
        answer = http.post("/siwe/verify", json=body, headers=cookies)
        return dict(answer.raise_for_status().json())


def main() -> None:
    """Read the key, sign in, print."""
    site, file = sys.argv[1:]
    answer = sign_in(site, bytes.fromhex(Path(file).read_text().strip().removeprefix("0x")))
    print(answer["user"])
    print(answer["token"])


if __name__ == "__main__":
    main()
