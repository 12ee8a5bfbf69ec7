"""A person's wallet signs in headless Chromium what `psp id new --sign-with browser` asks."""

import json
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from peerstream.identity import LocalSigner
from tests.node.cli.networks import write_network
from tests.system.login.control import REJECTED, UNKNOWN, serving
from tests.system.login.programs import BROWSER, ROOT, npm_packages, run, tool

HERE = ROOT / "tests" / "system" / "wallet_page"
NAMES = [
    "sign",
    "reject in the wallet, then sign",
    "a wallet with another account",
    "a wallet that signs with another key",
    "decline",
    "no wallet",
    "a page of another site",
]
SIGNER, OTHER = LocalSigner(b"\x31" * 32), LocalSigner(b"\x32" * 32)
URL = re.compile(r"http://127\.0\.0\.1:\d+/[\w-]{43}/")


class Control:
    """Wallets that live outside of the browser, and the command whose page it opens."""

    def __init__(self, folder, network):
        self.folder, self.network = folder, network
        self.rejecting = set()
        self.process = None
        self.runs = 0

    def begin(self):
        """Start the command; gives the URL that it prints."""
        self.runs += 1
        command = [
            *(sys.executable, "-m", "peerstream.node.cli", "id", "new", "--sign-with", "browser"),
            *("--network", str(self.network), "--account", str(SIGNER.address), "--json"),
            *("--label", "my laptop", "--state", str(self.folder / f"state-{self.runs}")),
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={}
        )
        said = ""
        for line in self.process.stderr:
            said += line
            if URL.search(said):
                return {"url": URL.search(said)[0]}
        raise AssertionError(said)

    def end(self):
        """Wait for the command; gives the object that it prints."""
        if self.process is None:
            return {}
        process, self.process = self.process, None
        try:
            return json.loads(process.communicate(timeout=60)[0])
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return {"error": {"name": "still running"}}

    def behave(self, wallet, rejects):
        """Let a wallet's person say no, or yes again."""
        (self.rejecting.add if rejects else self.rejecting.discard)(wallet)
        return {}

    def request(self, wallet, method, params):
        """What an EIP-1193 provider answers."""
        signer = OTHER if wallet in {"other", "liar"} else SIGNER
        if method == "eth_requestAccounts":
            shown = SIGNER if wallet == "liar" else signer
            return {"result": [str(shown.address).lower()]}
        if method != "eth_signTypedData_v4":
            return {"error": UNKNOWN}
        if wallet in self.rejecting:
            return {"error": REJECTED}
        account, typed = params
        assert account == str(SIGNER.address)
        return {"result": "0x" + signer.sign_typed_data(json.loads(typed)).hex()}


class Evil(BaseHTTPRequestHandler):
    """A page of another origin."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><body></body>")

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return write_network(tmp_path_factory.mktemp("network") / "network.json")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, network):
    """Play all scenarios in one browser."""
    npm_packages(BROWSER)
    folder = tmp_path_factory.mktemp("wallet")
    control = Control(folder, network)
    evil = ThreadingHTTPServer(("127.0.0.1", 0), Evil)
    thread = threading.Thread(target=evil.serve_forever, daemon=True)
    thread.start()
    try:
        with serving(control) as place:
            config = {
                "control": place,
                "evil": f"http://evil.localhost:{evil.server_port}/",
                "account": str(SIGNER.address),
                "chromium": shutil.which("chromium"),
                "picture": str(folder / "page.png"),
            }
            printed = run(tool("node"), HERE / "scenarios.mjs", json.dumps(config))
    finally:
        evil.shutdown()
        evil.server_close()
        thread.join()
    lines = [json.loads(line) for line in printed.splitlines()]
    return {line["name"]: line["error"] for line in lines}


def test_every_scenario_is_listed(outcomes):
    assert list(outcomes) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_scenario(outcomes, name):
    assert outcomes[name] is None, outcomes[name]
