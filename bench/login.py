"""Signing in: parse and verify a message; verified logins per second of one worker on one core.

    python bench/login.py [--logins 1500] [--connections 8]

The service is `psp login serve` on SQLite, alone on the last core; the load, which signs every
message that it sends, runs on the others. A login is two requests: a nonce, and the signed message.
Prints one line of JSON for each figure.
"""

import argparse
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import coincurve

from peerstream.identity.address import Address
from peerstream.identity.keys import keccak256
from peerstream.identity.login.config import write_new
from peerstream.identity.siwe import MESSAGE_MAXIMUM, SiweMessage, errors, parse, verify, write_time

ORIGIN = "http://localhost:8480"
ROUNDS = 2_000


class Wallet:
    """A plain account that signs fast: the load must not be what is measured."""

    def __init__(self, secret: bytes) -> None:
        self._key = coincurve.PrivateKey(secret)
        point = self._key.public_key.format(compressed=False)[1:]
        self.address = str(Address.of_public_key(point))

    def sign(self, text: str) -> bytes:
        data = text.encode()
        digest = keccak256(b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data)
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([27 + signature[64]])


def message(wallet: Wallet, nonce: str) -> str:
    """A message as a site has it."""
    return str(
        SiweMessage(
            domain=ORIGIN.partition("://")[2],
            address=wallet.address,
            statement="Sign in to the example with your wallet.",
            uri=ORIGIN,
            chain_id=1,
            nonce=nonce,
            issued_at=write_time(int(time.time())),
        )
    )


def microseconds(act) -> float:
    """The best of ten runs, each of many rounds: another process must not be measured."""
    found = []
    for _ in range(10):
        started = time.perf_counter()
        for _ in range(ROUNDS // 10):
            act()
        found.append((time.perf_counter() - started) / (ROUNDS // 10) * 1e6)
    return round(min(found), 1)


def parsing() -> None:
    """One message: read; read and verified; and the worst 4 KiB that anybody found."""
    wallet = Wallet(os.urandom(32))
    text = message(wallet, "0123456789abcdef")
    signature = wallet.sign(text)
    known = {"domain": ORIGIN.partition("://")[2], "uri": ORIGIN, "nonce": "0123456789abcdef"}

    def whole() -> None:
        verify(text, signature, **known, chain_id=1, now=time.time())

    report("parse", us=microseconds(lambda: parse(text)))
    report("parse and verify", us=microseconds(whole), at_most_us=250)
    worst = max((hostile(text, fill), fill) for fill in FILLS)
    report("hostile 4 KiB", ms=worst[0], fill=worst[1], at_most_ms=2)


FILLS = ("a", "%", "%2", "%20", "/", "@", ":", "[", "9", "a:", ".", "-", "\n- a:", "\n")


def hostile(text: str, fill: str) -> float:
    """The slowest place for one filling, in milliseconds, the best of five runs."""
    worst = 0.0
    for place in (
        ORIGIN,
        ORIGIN + "/",
        ORIGIN + "?",
        "Sign in",
        "0123456789abcdef",
        "1\nNonce",
        "Z",
    ):
        before, found, after = text.rpartition(place.rstrip("/?"))
        more = (fill * 4_096)[: MESSAGE_MAXIMUM - len(text) - 12]
        for attempt in (before + place + more + after, text + "\nResources:" + more):
            times = []
            for _ in range(5):
                started = time.perf_counter()
                with contextlib.suppress(errors.SiweFormatError):
                    parse(attempt)
                times.append((time.perf_counter() - started) * 1e3)
            worst = max(worst, min(times))
        assert found
    return round(worst, 3)


def logins(count: int, connections: int) -> None:
    """Sign in as often as told over so many connections."""
    with tempfile.TemporaryDirectory() as directory:
        config = write_new(Path(directory), ORIGIN)
        with config.open("a") as file:
            file.write("port = 0\nnonces_per_minute = 1e9\nattempts_per_minute = 1e9\n")
        service, url = start(config)
        try:
            spread(url, connections, connections)  # imports, caches, the first key
            before = cpu_of(service.pid)
            started = time.perf_counter()
            waits = spread(url, connections, count)
            elapsed = time.perf_counter() - started
            used = cpu_of(service.pid) - before
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait()
    waits.sort()
    report(
        "logins",
        per_second=round(count / elapsed, 1),
        at_least=300,
        cpu_ms_per_login=round(used / count * 1e3, 2),
        service_busy=round(used / elapsed, 2),
        p50_ms=round(waits[count // 2] * 1e3, 1),
        p99_ms=round(waits[count * 99 // 100] * 1e3, 1),
    )


def start(config: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the service on the last core; the rest of this program stays on the others."""
    cores = sorted(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "peerstream.node.cli", "login", "serve", str(config), "--json"]
    service = subprocess.Popen(  # noqa: S603 - our own program
        command,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores[-1:]),  # noqa: PLW1509 - no threads yet
    )
    os.sched_setaffinity(0, cores[:-1] or cores)
    assert service.stdout is not None
    return service, json.loads(service.stdout.readline())["url"]


def spread(url: str, connections: int, count: int) -> list[float]:
    """Share the logins among threads, one connection each."""
    waits: list[float] = []
    threads = [
        threading.Thread(
            target=work, args=(url, count // connections + (n < count % connections), waits)
        )
        for n in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waits) == count, "a login failed"
    return waits


def work(url: str, count: int, waits: list[float]) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    wallet = Wallet(os.urandom(32))
    cookie = ""
    for _ in range(count):
        started = time.perf_counter()
        headers = {"content-type": "application/json", "cookie": cookie}
        answer, sent = ask(connection, "/siwe/nonce", "{}", headers)
        cookie = sent[0].partition(";")[0]
        text = message(wallet, answer["nonce"])
        body = json.dumps({"message": text, "signature": "0x" + wallet.sign(text).hex()})
        answer, _ = ask(connection, "/siwe/verify", body, {**headers, "cookie": cookie})
        assert answer["user"]["walletAddress"] == wallet.address
        waits.append(time.perf_counter() - started)


def ask(connection, path, body, headers):
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    data = response.read()
    assert response.status == 200, data
    return json.loads(data), response.headers.get_all("set-cookie")


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(name: str, **values: object) -> None:
    print(json.dumps({"bench": name, **values, "load": round(os.getloadavg()[0], 1)}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logins", type=int, default=1_500)
    parser.add_argument("--connections", type=int, default=8)
    arguments = parser.parse_args()
    parsing()
    logins(arguments.logins, arguments.connections)


if __name__ == "__main__":
    main()
