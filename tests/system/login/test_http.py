"""The service over HTTP: under the servers that people use, and against a fuzzer of its schema."""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from peerstream.identity.login.config import write_new
from tests.identity.login.world import SESSION
from tests.identity.samples import fixed
from tests.system.login.programs import (
    BROWSER,
    HERE,
    PATIENCE_S,
    ROOT,
    example,
    npm_packages,
    run,
    service,
    tool,
    wait_for,
)

KEY = fixed("http wallet")
FACTORY = "peerstream.identity.login.app:create"


def python_tool(name):
    """Return a program that wants other packages than ours, from its own environment."""
    lock = HERE / "oracle" / f"{name}.lock"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    place = ROOT / "build" / f"venv-{name}"
    stamp = place / ".installed-from"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(place, ignore_errors=True)
        run(sys.executable, "-m", "venv", place)
        run(place / "bin" / "pip", "install", "-qq", "--require-hashes", "--no-deps", "-r", lock)
        stamp.write_text(wanted)
    return place / "bin"


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def configured(directory, port):
    config = write_new(directory, f"http://localhost:{port}")
    with config.open("a") as file:
        file.write(f"port = {port}\nnonces_per_minute = 1e9\nattempts_per_minute = 1e9\n")
    return config


@contextmanager
def server(command, config, port):
    """Run another server with our factory until it answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        env={**os.environ, "PSP_LOGIN_CONFIG": str(config)},
        stderr=subprocess.PIPE,
        text=True,
    )

    def answers():
        assert process.poll() is None, process.stderr.read()
        try:
            return httpx2.get(f"http://localhost:{port}/readyz").is_success
        except httpx2.TransportError:
            return False

    try:
        wait_for(answers, "the server does not answer")
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        process.stderr.close()


SERVERS = {
    "uvicorn": ["uvicorn", "--factory", FACTORY, "--port", "{port}"],
    "hypercorn": ["hypercorn", f"{FACTORY}()", "--bind", "localhost:{port}"],
    "hypercorn on trio": ["hypercorn", f"{FACTORY}()", "--bind", "localhost:{port}", "-k", "trio"],
}


@pytest.mark.parametrize("name", SERVERS)
def test_it_runs_under(name, tmp_path):
    port = free_port()
    command = [word.format(port=port) for word in SERVERS[name]]
    site = f"http://localhost:{port}"
    with server(command, configured(tmp_path, port), port):
        answer = example("headless").sign_in(site, KEY)
        assert answer["success"] is True
        headers = {"authorization": f"Bearer {answer['token']}"}
        session = httpx2.get(f"{site}/siwe/session", headers=headers)
        assert session.json()["user"] == answer["user"]
        large = httpx2.post(f"{site}/siwe/verify", json={"message": "a" * 20_000})
        assert large.status_code == 413
        keys = KeySet.import_key_set(httpx2.get(f"{site}/.well-known/jwks.json").json())
        assert jwt.decode(answer["token"], keys).claims["sub"] == answer["user"]["id"]


def test_the_headless_example_runs(tmp_path):
    port = free_port()
    key = tmp_path / "key.txt"
    key.write_text(KEY.hex())
    with service(configured(tmp_path, port)):
        script = ROOT / "examples" / "login" / "headless.py"
        printed = run(sys.executable, script, f"http://localhost:{port}", key)
    assert "walletAddress" in printed
    assert printed.strip().splitlines()[-1].count(".") == 2


def test_a_client_of_better_auth_signs_in(tmp_path):
    npm_packages(BROWSER)
    port = free_port()
    with service(configured(tmp_path, port)):
        arguments = json.dumps({"site": f"http://localhost:{port}", "secret": "0x" + KEY.hex()})
        found = json.loads(run(tool("node"), "better-auth.mjs", arguments, cwd=BROWSER))
    assert found["nonce"].isalnum()
    assert found["verified"]["success"] is True
    assert found["verified"]["user"].keys() == {"id", "walletAddress", "chainId"}
    assert found["verified"]["token"]
    assert found["replayed"] == 401


def test_a_fuzzer_of_the_schema_finds_nothing(tmp_path):
    programs = python_tool("schemathesis")
    port = free_port()
    site = f"http://localhost:{port}"
    common = [programs / "schemathesis", "--config-file", HERE / "oracle" / "schemathesis.toml"]
    common += ["run", f"{site}/openapi.json", "--url", site]
    common += ["--checks", "all", "--seed", "1", "--no-color", "--max-examples", "60"]
    with service(configured(tmp_path, port)):
        anonymous = run(*common, cwd=tmp_path)
        token = example("headless").sign_in(site, KEY)["token"]
        signed_in = run(
            *common,
            *("-H", f"Authorization: Bearer {token}"),
            *("--include-name", "GET /siwe/session", "--include-name", "GET /siwe/me"),
            *("--exclude-checks", "ignored_auth"),  # the token counts whatever cookie comes along
            cwd=tmp_path,
        )
    assert "12 selected / 12 total" in anonymous
    assert "2 selected / 12 total" in signed_in
    for printed in (anonymous, signed_in):
        assert "FAILURES" not in printed
        assert int(re.search(r"(\d+) generated", printed)[1]) > 20


def test_what_the_service_says_when_it_ends_holds_nobody_s_address(tmp_path):
    """No access log: whoever signed in stands in no line, nor does where they came from."""
    port = free_port()
    config = configured(tmp_path, port)
    command = [sys.executable, "-m", "peerstream.node.cli", "login", "serve", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    first = process.stdout.readline()
    answer = example("headless").sign_in(f"http://localhost:{port}", KEY)
    httpx2.post(f"http://localhost:{port}/siwe/verify", content=b"\xff" * 100)
    started = time.monotonic()
    process.terminate()
    rest, _ = process.communicate(timeout=PATIENCE_S)
    assert time.monotonic() - started < PATIENCE_S
    assert urlsplit(first.split()[-1]).port == port
    account = answer["user"]["walletAddress"]
    for word in (account, account.lower(), "POST", "/siwe", SESSION, "ffff"):
        assert word not in first + rest
