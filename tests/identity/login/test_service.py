"""The login as a service of its own: its file, its application, its OpenAPI document."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from peerstream.identity.login import app as service
from peerstream.identity.login import migrate
from peerstream.identity.login.config import LoginConfig, read_secret, write_new
from peerstream.identity.login.database import Database
from peerstream.identity.login.errors import LoginSettingsError
from peerstream.identity.login.sql import SqlStore
from tests.identity.login.world import ORIGIN, REFRESH, SESSION, code, settings
from tests.identity.samples import fixed

OPENAPI = Path(__file__).parents[3] / "docs" / "login" / "openapi.json"


@pytest.fixture
def config(tmp_path):
    return write_new(tmp_path, ORIGIN)


@pytest.fixture
def http(config):
    return TestClient(service.from_config(LoginConfig.load(config)), base_url=ORIGIN)


def append(config, text):
    config.write_text(config.read_text() + text)


def test_the_openapi_document_is_the_committed_one():
    made = service.make_app(settings(origins=[ORIGIN])).openapi()
    assert made == json.loads(OPENAPI.read_text()), "psp login openapi > docs/login/openapi.json"


def test_a_new_file_serves(http):
    assert http.get("/livez").json() == {"live": True}
    assert http.get("/readyz").json() == {"ready": True}
    assert http.post("/siwe/nonce").is_success
    assert http.get("/.well-known/jwks.json").json()["keys"]


def test_a_new_file_is_not_written_over_another(config):
    with pytest.raises(FileExistsError):
        write_new(config.parent, ORIGIN)
    assert (config.parent / "login.secret").stat().st_mode & 0o77 == 0


def test_the_next_start_finds_the_same_keys_and_sessions(config):
    first = TestClient(service.from_config(LoginConfig.load(config)), base_url=ORIGIN)
    second = TestClient(service.from_config(LoginConfig.load(config)), base_url=ORIGIN)
    places = [http.get("/.well-known/jwks.json").json() for http in (first, second)]
    assert places[0] == places[1]


def test_whatever_is_not_there_leads_nowhere_and_carries_the_headers(http):
    for path in ("/siwe/session/", "/", "//evil.example/%2e%2e", "/docs", "/redoc"):
        answer = http.get(path, headers={"host": "evil.example"}, follow_redirects=False)
        assert code(answer, 404) == "not-found"
        assert "location" not in answer.headers
        assert answer.headers["strict-transport-security"]
        assert answer.headers["x-frame-options"] == "DENY"
    assert code(http.put("/siwe/nonce"), 405) == "method-not-allowed"


def test_only_pages_on_the_list_read_answers(http):
    for origin in ("https://evil.example", "null", "https://app.example.evil.example"):
        answer = http.get("/siwe/session", headers={"origin": origin})
        assert "access-control-allow-origin" not in answer.headers
        preflight = {"origin": origin, "access-control-request-method": "POST"}
        answer = http.options("/siwe/verify", headers=preflight)
        assert "access-control-allow-origin" not in answer.headers
    answer = http.get("/siwe/session", headers={"origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "origin" in answer.headers["vary"].lower()


def test_localhost_gets_no_strict_transport():
    http = TestClient(service.make_app(settings(origins=["http://localhost:3000"])))
    assert "strict-transport-security" not in http.get("/livez").headers


def test_a_database_that_is_gone_is_not_ready(config):
    loaded = LoginConfig.load(config)
    http = TestClient(service.from_config(loaded), base_url=ORIGIN)
    broken = Database("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=1")
    app = service.make_app(settings(), database=broken)
    assert code(TestClient(app).get("/readyz"), 503) == "not-ready"
    assert http.get("/readyz").is_success
    app = service.make_app(settings(), SqlStore(broken), fixed("s"))
    http = TestClient(app, base_url=ORIGIN, cookies={SESSION: "a" * 43, REFRESH: "b" * 43})
    for method, path in (("GET", "/siwe/session"), ("POST", "/siwe/refresh"), ("GET", "/siwe/me")):
        answer = http.request(method, path)
        assert code(answer, 503) == "store-unavailable"
        assert "127.0.0.1" not in answer.text
    broken.close()


def test_a_database_without_its_tables_is_unavailable(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/empty.db")
    http = TestClient(service.make_app(settings(), SqlStore(database), fixed("s")), base_url=ORIGIN)
    http.cookies.set(SESSION, "a" * 43)
    assert code(http.get("/siwe/session"), 503) == "store-unavailable"
    assert code(http.get("/.well-known/jwks.json"), 503) == "store-unavailable"


@pytest.mark.parametrize(
    "change",
    [
        "origin = 5\n",
        "port = 70000\n",
        "port = 'x'\n",
        "chains = {}\n",
        "unknown = 1\n",
        "session_seconds = 0\n",
        "contract_check = 86400\n",
        "nonces_per_minute = 0\n",
        "block = 'pending'\n",
        "database = 'mysql://a'\n",
        "not toml",
    ],
)
def test_a_wrong_file_is_named(config, change):
    key = change.partition(" ")[0]
    kept = [line for line in config.read_text().splitlines() if not line.startswith(key)]
    config.write_text("\n".join(kept) + "\n" + change)
    with pytest.raises(LoginSettingsError):
        service.from_config(LoginConfig.load(config))


def test_the_file_s_secrets_show_nowhere(config, monkeypatch):
    monkeypatch.setenv("PSP_LOGIN_DATABASE", "postgresql+psycopg://me:hunter2@db/login")
    append(config, "\n")
    text = config.read_text().replace('1 = "" }', '1 = "https://node.example/key-hunter3" }')
    config.write_text(text)
    loaded = LoginConfig.load(config)
    assert loaded.database.get_secret_value().endswith("/login")
    assert "hunter" not in repr(loaded) + str(loaded)
    assert "hunter" not in repr(Database("postgresql+psycopg://me:hunter2@db/login").engine)
    config.write_text(text + "port = 'hunter4'\n")
    with pytest.raises(LoginSettingsError) as caught:
        LoginConfig.load(config)
    assert "hunter" not in str(caught.value)


def test_a_secret_that_others_can_read_or_that_is_none_is_refused(config):
    secret = config.parent / "login.secret"
    secret.chmod(0o640)
    with pytest.raises(LoginSettingsError, match="chmod"):
        LoginConfig.load(config).secret()
    secret.unlink()
    with pytest.raises(LoginSettingsError):
        LoginConfig.load(config).secret()
    for text in ("", "00", "zz" * 32, "00" * 33):
        with pytest.raises(LoginSettingsError):
            read_secret(text)
    assert read_secret(fixed("s").hex()) == fixed("s")


def test_tables_of_another_version_are_not_used(config):
    append(config, "migrate = false\n")
    loaded = LoginConfig.load(config)
    with pytest.raises(LoginSettingsError, match="migrate"):
        service.from_config(loaded)
    migrate.upgrade(Database(loaded.database.get_secret_value()))
    assert service.from_config(loaded)


def test_other_servers_take_the_factory(config, monkeypatch):
    monkeypatch.delenv(service.CONFIG_VARIABLE, raising=False)
    with pytest.raises(LoginSettingsError):
        service.create()
    monkeypatch.setenv(service.CONFIG_VARIABLE, str(config))
    assert TestClient(service.create()).get("/livez").is_success


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(LoginSettingsError):
        LoginConfig.load(tmp_path / "none.toml")


def test_neither_the_network_nor_web3_is_loaded():
    """`pip install peerstream[login]` brings neither; trio comes with anyio where it is there."""
    code_ = "import peerstream.node.cli.login, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code_],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    loaded = set(done.stdout.split())
    assert "peerstream.identity.login.app" in loaded
    assert not loaded & {"libp2p", "trio", "web3", "eth_account", "py_ecc"}


def test_an_application_imports_what_it_needs_alone():
    code_ = (
        "import peerstream.identity.login.auth, peerstream.identity.siwe, sys; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code_], capture_output=True, check=True, text=True)
    assert not set(done.stdout.split()) & {"libp2p", "trio", "web3", "eth_account", "uvicorn"}


def test_the_guide_s_application_runs(tmp_path, monkeypatch):
    guide = (OPENAPI.parent / "README.md").read_text()
    program = re.search(r"```python\n(.*?)```", guide, re.DOTALL)[1]
    (tmp_path / "login.secret").write_text(fixed("s").hex() + "\n")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(program, "docs/login/README.md", "exec"), names)
    http = TestClient(names["app"], base_url=ORIGIN)
    assert http.post("/siwe/nonce").is_success
    assert http.get("/hello").status_code == 401
    names["database"].close()
