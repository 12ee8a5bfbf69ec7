"""Sessions: how long, how refreshed, how ended, what is kept about them."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from peerstream.identity.login.secrets import hash_of
from peerstream.identity.login.store import Rotation, Token, Use
from tests.identity.login.world import (
    BINDING,
    NOW,
    REFRESH,
    SESSION,
    World,
    code,
    make_store,
)
from tests.identity.samples import fixed


@pytest.fixture(params=["memory", "sqlite"])
def world(request, tmp_path):
    return World(make_store(request.param, tmp_path))


@pytest.fixture
def browser(world):
    found = world.browser()
    found.sign_in()
    return found


def test_a_session_ends_by_itself_and_is_refreshed(world, browser):
    old = browser.cookie()
    world.clock.now += world.auth.service.settings.session_seconds
    assert code(browser.http.get("/siwe/session")) == "not-signed-in"
    answer = browser.http.post("/siwe/refresh")
    assert answer.is_success
    assert browser.cookie() not in (None, old)
    assert browser.http.get("/hello").is_success
    assert answer.json()["user"]["walletAddress"] == browser.account


def test_a_refresh_forgets_the_old_session_cookie(world, browser):
    old = browser.cookie()
    browser.http.post("/siwe/refresh")
    thief = world.browser()
    thief.http.cookies.set(SESSION, old)
    assert code(thief.http.get("/hello")) == "not-signed-in"


def test_a_family_ends_however_often_it_is_refreshed(world, browser):
    settings = world.auth.service.settings
    for _ in range(settings.family_seconds // settings.refresh_seconds + 1):
        world.clock.now += settings.refresh_seconds - 1
        last = browser.http.post("/siwe/refresh")
    assert code(last) == "not-signed-in"


def test_a_refresh_token_has_a_time(world, browser):
    world.clock.now += world.auth.service.settings.refresh_seconds
    assert code(browser.http.post("/siwe/refresh")) == "not-signed-in"


def test_a_refresh_token_that_is_shown_twice_ends_the_whole_family(world, browser):
    stolen = browser.cookie(REFRESH)
    browser.http.post("/siwe/refresh")
    thief = world.browser()
    thief.http.cookies.set(REFRESH, stolen)
    assert code(thief.http.post("/siwe/refresh")) == "refresh-reused"
    assert code(browser.http.get("/hello")) == "not-signed-in"
    assert code(browser.http.post("/siwe/refresh")) == "not-signed-in"


def test_reuse_is_noticed_generations_later_and_other_sessions_go_on(world, browser):
    stolen = browser.cookie(REFRESH)
    other = world.browser()
    other.sign_in()
    for _ in range(5):
        browser.http.post("/siwe/refresh")
    thief = world.browser()
    thief.http.cookies.set(REFRESH, stolen)
    assert code(thief.http.post("/siwe/refresh")) == "refresh-reused"
    assert code(browser.http.post("/siwe/refresh")) == "not-signed-in"
    assert other.http.get("/hello").is_success


def test_of_200_refreshes_with_one_token_exactly_one_wins_and_the_family_ends(world, browser):
    service, token = world.auth.service, browser.cookie(REFRESH)

    def attempt(_):
        try:
            service.refresh(token)
        except Exception as error:  # noqa: BLE001 - its name is what is counted
            return type(error).__name__
        return "done"

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(attempt, range(200)))
    assert outcomes.count("done") == 1
    assert set(outcomes) <= {"done", "RefreshReusedError", "NotSignedInError"}
    assert "RefreshReusedError" in outcomes
    assert world.store.sessions_of(browser.account, NOW) == []


def test_a_session_token_does_not_refresh_and_a_refresh_token_is_no_session(world, browser):
    session, refresh = browser.cookie(), browser.cookie(REFRESH)
    swapped = world.browser()
    swapped.http.cookies.set(SESSION, refresh)
    swapped.http.cookies.set(REFRESH, session)
    assert code(swapped.http.get("/hello")) == "not-signed-in"
    assert code(swapped.http.post("/siwe/refresh")) == "not-signed-in"
    assert browser.http.get("/hello").is_success


def test_logout_ends_one_session_and_its_refresh_and_its_token(world, browser):
    token = browser.http.post("/siwe/refresh").json()["token"]
    refresh = browser.cookie(REFRESH)
    other = world.browser()
    other.sign_in()
    answer = browser.http.post("/siwe/logout")
    assert answer.json() == {"success": True}
    assert browser.cookie() is None
    browser.http.cookies.set(REFRESH, refresh)
    assert code(browser.http.post("/siwe/refresh")) == "not-signed-in"
    headers = {"authorization": f"Bearer {token}"}
    assert code(world.browser().http.get("/hello", headers=headers)) == "not-signed-in"
    assert other.http.get("/hello").is_success


def test_logout_everywhere_ends_the_account_s_sessions_and_nobody_else_s(world, browser):
    other, stranger = world.browser(), world.browser(fixed("stranger"))
    other.sign_in()
    stranger.sign_in()
    assert browser.http.post("/siwe/logout/all").is_success
    assert code(other.http.get("/hello")) == "not-signed-in"
    assert stranger.http.get("/hello").is_success


def test_one_sees_all_that_is_stored_and_deletes_it(world, browser):
    other, stranger = world.browser(), world.browser(fixed("stranger"))
    world.clock.now += 5
    other.sign_in()
    stranger.sign_in()
    seen = browser.http.get("/siwe/me").json()
    assert seen["account"] == browser.account
    assert [session["current"] for session in seen["sessions"]] == [False, True]
    assert seen["sessions"][0].keys() == {
        "id", "chainId", "signatureKind", "createdAt", "checkedAt", "expiresAt", "current",
    }  # fmt: skip
    assert browser.http.delete("/siwe/me").json() == {"success": True}
    assert world.store.sessions_of(browser.account, world.clock.now) == []
    assert code(other.http.get("/siwe/me")) == "not-signed-in"
    assert len(stranger.http.get("/siwe/me").json()["sessions"]) == 1


@pytest.mark.parametrize("method", ["post", "delete"])
def test_another_site_s_page_changes_nothing(browser, method):
    changing = ["/siwe/logout", "/siwe/logout/all", "/siwe/refresh", "/siwe/verify", "/change"]
    paths = {"post": changing, "delete": ["/siwe/me"]}[method]
    for path in paths:
        for headers in (
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"origin": "https://app.example.evil.example"},
            {"origin": "http://app.example"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ):
            send = getattr(browser.http, method)
            options = (
                {"json": {"message": "a", "signature": "b"}} if path.endswith("verify") else {}
            )
            answer = send(path, headers=headers, **options)
            assert code(answer, 403) == "foreign-origin"
    for headers in ({"origin": "https://app.example"}, {"sec-fetch-site": "same-origin"}, {}):
        assert browser.http.post("/change", headers=headers).is_success


def test_a_host_header_changes_nothing(world):
    browser = world.browser()
    signed = browser.message()
    assert browser.send(signed, headers={"host": "evil.example"}).is_success
    evil = browser.message(domain="evil.example", uri="https://evil.example")
    answer = browser.send(
        evil, headers={"host": "evil.example", "x-forwarded-host": "evil.example"}
    )
    assert code(answer) == "domain-mismatch"


def test_the_database_holds_no_token_no_nonce_and_no_address_of_a_network(tmp_path):
    store = make_store("sqlite", tmp_path)
    world = World(store)
    browser = world.browser()
    signed = browser.message()
    token = browser.send(signed).json()["token"]
    browser.http.post("/siwe/refresh")
    secrets = [signed.nonce, token, *(browser.cookie(n) for n in (SESSION, REFRESH, BINDING))]

    connection = sqlite3.connect(tmp_path / "login.db")
    dump = "\n".join(connection.iterdump())
    raw = b"".join(path.read_bytes() for path in tmp_path.glob("login.db*"))
    connection.close()
    assert browser.account in dump
    for secret in secrets:
        assert secret
        assert secret not in dump
        assert secret.encode() not in raw
    assert hash_of(browser.cookie()).hex().upper() in dump.upper()
    for word in ("testclient", "127.0.0.1", "@", '"d":', "user-agent"):
        assert word not in dump
    # the keys that sign are sealed, and what verifies is public
    assert '"kty"' in dump.replace("''", '"')


def test_what_is_forgotten_is_overwritten(tmp_path):
    world = World(make_store("sqlite", tmp_path))
    browser = world.browser()
    browser.sign_in()
    browser.http.delete("/siwe/me")
    connection = sqlite3.connect(tmp_path / "login.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    raw = b"".join(path.read_bytes() for path in tmp_path.glob("login.db*"))
    assert browser.account.encode() not in raw


def test_stores_agree_on_tokens(world, browser):
    store, now = world.store, NOW
    session = store.sessions_of(browser.account, now)[0]
    digest = fixed("refresh")
    store.open_session(
        session.__class__(**{n: getattr(session, n) for n in session.__slots__} | {"id": "f" * 32}),
        [Token(digest, "f" * 32, Use.REFRESH, now + 10)],
    )
    new = [Token(fixed("next"), "f" * 32, Use.SESSION, now + 10)]
    assert store.rotate(fixed("unknown"), new, now) is Rotation.UNKNOWN
    assert store.rotate(digest, new, now + 10) is Rotation.UNKNOWN
    assert store.rotate(digest, new, now) is Rotation.DONE
    assert store.find(fixed("next"), Use.SESSION, now).id == "f" * 32
    assert store.find(fixed("next"), Use.SESSION, now + 10) is None
    assert store.rotate(fixed("next"), [], now) is Rotation.UNKNOWN
    assert store.find(digest, Use.REFRESH, now) is None
    assert store.rotate(digest, [], now) is Rotation.REUSED
    assert store.session("f" * 32, now) is None
    store.mark_checked(session.id, now + 1)
    assert store.session(session.id, now).checked_at == now + 1


def test_sweeping_deletes_what_is_over_and_nothing_else(world, browser):
    store, settings = world.store, world.auth.service.settings
    assert store.spend_nonce(fixed("n"), NOW + 5)
    assert not store.spend_nonce(fixed("n"), NOW + 5)
    assert store.sweep(NOW + 4, 100) == 0
    assert store.sweep(NOW + 5, 100) == 1
    # the session cookie is over, its session is not
    over = NOW + settings.session_seconds
    assert store.sweep(over, 100) >= 1
    assert len(store.sessions_of(browser.account, over)) == 1
    for number in range(7):
        store.spend_nonce(fixed(f"many {number}"), NOW)
    assert [store.sweep(NOW, 3), store.sweep(NOW, 3), store.sweep(NOW, 3)] == [3, 3, 1]
    store.sweep(NOW + settings.family_seconds, 100)
    assert store.sessions_of(browser.account, NOW) == []
    assert store.session(json.dumps("x"), NOW) is None
