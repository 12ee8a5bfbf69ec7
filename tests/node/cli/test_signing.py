"""`--sign-with`: a browser's wallet, a signer on this machine; verified whoever it was."""

import json
import socket
import socketserver
import threading
import webbrowser
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from peerstream.identity import LocalSigner
from peerstream.node.cli.errors import BadArgumentError
from peerstream.node.cli.external_signer import parse_signer
from tests.node.cli.conftest import ACCOUNT, WALLET
from tests.node.cli.shapes import require_failure, require_shape
from tests.node.cli.wallet_page.visitor import Visitor

SIGNER = LocalSigner(bytes.fromhex(WALLET))
OTHER = LocalSigner(b"\x12" * 32)


@pytest.fixture
def new(psp, network, tmp_path):
    """Make an identity for the account whose wallet signs elsewhere."""

    def run(*options):
        return psp(
            *("id", "new", "--network", network, "--account", ACCOUNT),
            *("--state", tmp_path / "s", *options, "--json"),
        )

    return run


def browser(monkeypatch, *wallets):
    visitor = Visitor(*wallets)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", visitor)
    return visitor


# The browser


def test_the_wallet_of_a_browser_signs(new, psp, tmp_path, monkeypatch):
    visitor = browser(monkeypatch, SIGNER)
    done = new("--sign-with", "browser")
    assert visitor.answers == [200]
    require_shape(done.json)
    assert done.json["account"] == ACCOUNT
    assert visitor.page in done.err
    assert psp("id", "show", "--state", tmp_path / "s", "--json").json["account"] == ACCOUNT
    renewed = psp(
        *("id", "renew", "--sign-with", "browser", "--days", 3),
        *("--state", tmp_path / "s", "--json"),
    ).json
    assert renewed["not_after"] - renewed["issued"] == 3 * 86_400


def test_another_account_is_refused_until_the_right_one_signs(new, monkeypatch):
    visitor = browser(monkeypatch, OTHER, SIGNER)
    assert new("--sign-with", "browser").json["account"] == ACCOUNT
    assert visitor.answers == [422, 200]


def test_declining_leaves_no_identity(new, psp, tmp_path, monkeypatch):
    browser(monkeypatch)
    done = new("--sign-with", "browser")
    assert done.code == 4
    require_failure(done.json, "psp.id/1", "WalletDeclinedError")
    assert psp("id", "show", "--state", tmp_path / "s").code == 4


# A signer on this machine


class Signer:
    """Answers `account_signTypedData` as Clef does; `answer` replaces what it says."""

    def __init__(self, wallet=SIGNER, answer=None):
        self.wallet, self.answer, self.asked = wallet, answer, []

    def reply(self, body):
        request = json.loads(body)
        self.asked.append(request)
        if self.answer is not None:
            return self.answer
        assert request["method"] == "account_signTypedData"
        account, typed = request["params"]
        assert account == ACCOUNT
        signature = "0x" + self.wallet.sign_typed_data(typed).hex()
        return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": signature}).encode()


@contextmanager
def listening(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def over_http(signer):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            answer = signer.reply(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    with listening(HTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"rpc:http://127.0.0.1:{server.server_port}"


@contextmanager
def over_unix(signer, path):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            body = b""
            while not is_whole(body):
                body += self.request.recv(4_096)
            self.request.sendall(signer.reply(body) + b"\n")
            self.request.recv(1)  # a signer keeps its connections

    with listening(socketserver.UnixStreamServer(str(path), Handler)):
        yield f"rpc:unix:{path}"


def is_whole(body):
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def test_a_signer_over_http(new, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # is not asked
    signer = Signer()
    with over_http(signer) as place:
        assert new("--sign-with", place).json["account"] == ACCOUNT
    assert len(signer.asked) == 1


def test_a_signer_on_a_socket(new, tmp_path_factory):
    signer = Signer()
    with over_unix(signer, tmp_path_factory.mktemp("s") / "clef.ipc") as place:
        assert new("--sign-with", place).json["account"] == ACCOUNT


def test_a_signature_of_another_account_is_refused(new):
    with over_http(Signer(OTHER)) as place:
        done = new("--sign-with", place)
    assert done.code == 4
    require_failure(done.json, "psp.id/1", "BadSignatureError")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no",
        b"[" * 1_000,
        b"[]",
        b"{}",
        b'{"result": 1}',
        b'{"result": "0x0"}',
        b'{"result": "0x' + b"00" * 9_000 + b'"}',
        b'{"error": {"code": -32000, "message": "request denied\\u001b[2J"}}',
        b'{"error": "no", "result": null}',
    ],
)
def test_what_is_no_signature_is_named(new, answer, tmp_path_factory):
    path = tmp_path_factory.mktemp("s") / "clef.ipc"
    with over_http(Signer(answer=answer)) as http, over_unix(Signer(answer=answer), path) as unix:
        for place in (http, unix):
            done = new("--sign-with", place)
            require_failure(done.json, "psp.id/1", "ExternalSignerError")
            assert "\x1b" not in done.err


def test_a_signer_that_is_not_there_is_named(new, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        for place in (f"http://127.0.0.1:{taken.getsockname()[1]}", f"unix:{tmp_path}/none"):
            done = new("--sign-with", f"rpc:{place}")
            require_failure(done.json, "psp.id/1", "ExternalSignerError")


@pytest.mark.parametrize(
    "text",
    [
        "wallet",
        "rpc:",
        "rpc:unix:",
        "rpc:http://example.org:8550",
        "rpc:http://192.168.0.1:8550",
        "rpc:https://127.0.0.1:8550",
        "rpc:http://127.0.0.1",
        "rpc:http://127.0.0.1:99999",
        "rpc:http://127.0.0.1.example.org:8550",
        "rpc:http://[::1",
        "rpc:file:///etc/passwd",
    ],
)
def test_no_signer_elsewhere_is_asked(psp, network, tmp_path, text):
    with pytest.raises(BadArgumentError):
        parse_signer(text)
    options = ("--network", network, "--account", ACCOUNT, "--state", tmp_path / "s")
    assert psp("id", "new", "--sign-with", text, *options).code == 2
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("text", ["rpc:http://localhost:8550", "rpc:http://[::1]:8550/"])
def test_a_signer_on_this_machine_has_several_names(text):
    assert parse_signer(text).url == text.removeprefix("rpc:")
