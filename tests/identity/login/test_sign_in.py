"""Signing in over HTTP: what works, and every way in which it must not."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from eth_account import Account

from peerstream.identity import Address
from peerstream.identity.login.errors import LoginSettingsError
from peerstream.identity.siwe import write_time
from tests.identity.login.world import (
    BINDING,
    NOW,
    ORIGIN,
    OTHER,
    REFRESH,
    SESSION,
    World,
    code,
    make_store,
    settings,
)
from tests.identity.samples import fixed
from tests.identity.siwe.messages import sign
from tests.identity.test_wallet import Evm, deploy_call, predicted, selector, words, wrap


@pytest.fixture(params=["memory", "sqlite"])
def world(request, tmp_path):
    return World(make_store(request.param, tmp_path))


def test_a_wallet_signs_in_and_is_known(world):
    browser = world.browser()
    body = browser.sign_in(statement="Sign in.").json()
    account = browser.account
    assert body["success"] is True
    assert body["user"] == {
        "id": f"eip155:1:{account}",
        "walletAddress": account,
        "chainId": 1,
    }
    assert body["token"].count(".") == 2
    session = browser.http.get("/siwe/session").json()
    assert session["user"] == body["user"]
    assert browser.http.get("/hello").json() == f"eip155:1:{account}"
    assert browser.http.post("/change").json() == account


def test_both_origins_and_a_bearer_token_work(world):
    browser = world.browser(origin=OTHER)
    token = browser.sign_in().json()["token"]
    stranger = world.browser().http
    headers = {"authorization": f"Bearer {token}"}
    assert stranger.get("/hello", headers=headers).json().endswith(browser.account)
    # a page cannot make a browser send a bearer token, so that other sites' pages may use one
    assert stranger.post(
        "/change", headers={**headers, "origin": "https://evil.example"}
    ).is_success


def test_nothing_works_without_a_session(world):
    http = world.browser().http
    places = ["GET /siwe/session", "GET /siwe/me", "GET /hello", "POST /change", "DELETE /siwe/me"]
    for place in [*places, "POST /siwe/logout", "POST /siwe/logout/all", "POST /siwe/refresh"]:
        method, path = place.split()
        answer = http.request(method, path)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["code"] == "not-signed-in"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"domain": "evil.example"}, "domain-mismatch"),
        ({"domain": "app.example:443"}, "domain-mismatch"),
        ({"scheme": "http"}, "scheme-mismatch"),
        ({"uri": "https://evil.example"}, "uri-mismatch"),
        ({"uri": OTHER}, "uri-mismatch"),
        ({"chain_id": 137}, "chain-id-mismatch"),
        ({"nonce": "12345678"}, "invalid-nonce"),
        ({"nonce": "a" * 60}, "invalid-nonce"),
        ({"nonce": "8" * 60}, "invalid-nonce"),
        ({"expiration_time": write_time(NOW)}, "message-expired"),
        ({"not_before": write_time(NOW + 1)}, "message-not-yet-valid"),
    ],
)
def test_a_message_for_another_is_refused_though_it_is_signed(world, change, expected):
    browser = world.browser()
    browser.nonce()
    assert code(browser.send(browser.message(**change))) == expected
    assert browser.cookie() is None
    assert code(browser.http.get("/siwe/session")) == "not-signed-in"


def test_another_key_s_signature_is_refused_and_the_nonce_is_spent(world):
    browser = world.browser()
    signed = browser.message()
    assert code(browser.send(signed, sign(signed, fixed("stranger")))) == "siwe-signature"
    assert code(browser.send(signed)) == "nonce-spent"


def test_a_message_works_once(world):
    browser = world.browser()
    signed = browser.message()
    assert browser.send(signed).is_success
    assert code(browser.send(signed)) == "nonce-spent"


def test_of_200_attempts_with_one_nonce_exactly_one_wins(world):
    browser = world.browser()
    signed = browser.message()
    service, binding = world.auth.service, browser.cookie(BINDING)
    signature = "0x" + sign(signed, browser.key).hex()

    def attempt(_):
        try:
            service.sign_in(str(signed), signature, binding)
        except Exception as error:  # noqa: BLE001 - its name is what is counted
            return type(error).__name__
        return "in"

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(attempt, range(200)))
    assert outcomes.count("in") == 1
    assert outcomes.count("NonceSpentError") == 199
    assert len(world.store.sessions_of(browser.account, NOW)) == 1


def test_a_nonce_has_a_time(world):
    browser = world.browser()
    signed = browser.message()
    world.clock.now += world.auth.service.settings.nonce_seconds
    assert code(browser.send(signed)) == "invalid-nonce"


def test_a_nonce_belongs_to_the_browser_that_asked(world):
    """Login CSRF: the attacker's own signed message in the victim's browser."""
    attacker, victim = world.browser(fixed("attacker")), world.browser()
    signed = attacker.message()
    assert code(victim.send(signed, sign(signed, attacker.key))) == "invalid-nonce"
    victim.nonce()
    assert code(victim.send(signed, sign(signed, attacker.key))) == "invalid-nonce"
    assert attacker.send(signed).is_success


def test_two_tabs_share_the_cookie_and_have_a_nonce_each(world):
    browser = world.browser()
    first, second = browser.message(), browser.message()
    assert first.nonce != second.nonce
    assert browser.send(first).is_success
    assert browser.send(second).is_success


def test_a_nonce_of_another_service_is_none_of_ours(world):
    other = World(secret=fixed("another secret"))
    browser, elsewhere = world.browser(), other.browser()
    nonce = elsewhere.nonce()
    browser.http.cookies.set(BINDING, elsewhere.cookie(BINDING))
    assert code(browser.send(browser.message(nonce=nonce))) == "invalid-nonce"


@pytest.mark.parametrize("place", range(0, 60, 7))
def test_a_changed_nonce_is_none_of_ours(place):
    browser = World().browser()
    nonce = browser.nonce()
    changed = nonce[:place] + ("a" if nonce[place] != "a" else "b") + nonce[place + 1 :]
    for text in (changed, nonce.upper(), nonce + "a", nonce[:-1]):
        assert code(browser.send(browser.message(nonce=text))) == "invalid-nonce"


def test_replicas_share_nothing_but_the_secret_and_the_store(tmp_path):
    store = make_store("sqlite", tmp_path)
    first, second = World(store), World(store)
    browser = first.browser()
    signed = browser.message()
    elsewhere = second.browser()
    elsewhere.http.cookies.set(BINDING, browser.cookie(BINDING))
    token = elsewhere.send(signed).json()["token"]
    browser.http.cookies.set(SESSION, elsewhere.cookie())
    assert browser.http.get("/hello").is_success
    headers = {"authorization": f"Bearer {token}"}
    assert first.browser().http.get("/hello", headers=headers).is_success
    assert code(browser.send(signed)) == "nonce-spent"


def test_a_get_gives_a_nonce_too_and_nonces_are_what_clients_expect(world):
    browser = world.browser()
    for answer in (browser.http.get("/siwe/nonce"), browser.http.post("/siwe/nonce")):
        nonce = answer.json()["nonce"]
        assert nonce.isalnum()
        assert 8 <= len(nonce) <= 250
    assert browser.send(browser.message(nonce=nonce)).is_success


def test_fields_that_other_clients_add_do_not_hurt_and_no_mail_address_is_kept(world):
    browser = world.browser()
    signed = browser.message()
    body = {
        "message": str(signed),
        "signature": "0x" + sign(signed, browser.key).hex(),
        "walletAddress": browser.account,
        "chainId": 1,
        "email": "someone@example.org",
    }
    assert browser.http.post("/siwe/verify", json=body).is_success
    assert "example.org" not in browser.http.get("/siwe/me").text


def test_a_contract_wallet_signs_in_and_loses_its_session_with_its_owner(tmp_path):
    evm = Evm()
    world = World(make_store("sqlite", tmp_path), chains={1: evm})
    browser = world.browser()
    owner = Address.parse(browser.account)
    wallet = evm.deploy("OwnedWallet", owner)
    browser.account = str(wallet)
    body = browser.sign_in().json()
    assert body["user"]["walletAddress"] == str(wallet)
    assert browser.http.get("/siwe/me").json()["sessions"][0]["signatureKind"] == "contract"
    headers = {"authorization": f"Bearer {body['token']}"}

    world.clock.now += world.auth.service.settings.contract_check
    assert browser.http.get("/hello").is_success

    change_owner(evm, wallet, browser.key)
    assert browser.http.get("/hello").is_success  # its word is not old yet
    world.clock.now += world.auth.service.settings.contract_check
    assert code(browser.http.get("/hello")) == "wallet-changed"
    assert code(browser.http.get("/hello")) == "not-signed-in"
    assert code(browser.http.post("/siwe/refresh")) == "not-signed-in"
    assert code(world.browser().http.get("/hello", headers=headers)) in (
        "not-signed-in",
        "invalid-token",
    )


def test_a_refresh_asks_the_contract_too():
    evm = Evm()
    world = World(chains={1: evm})
    browser = world.browser()
    wallet = evm.deploy("OwnedWallet", Address.parse(browser.account))
    browser.account = str(wallet)
    browser.sign_in()
    change_owner(evm, wallet, browser.key)
    world.clock.now += 2 * world.auth.service.settings.session_seconds
    assert code(browser.http.post("/siwe/refresh")) == "wallet-changed"
    assert world.store.sessions_of(str(wallet), world.clock.now) == []


def change_owner(evm, wallet, key):
    """The owner hands the wallet to somebody else."""
    owner = Account.from_key(key)
    evm.send(owner.address, b"", value=10**18)
    call = selector("setOwner(address)") + words(fixed("new owner", 20))
    signed = owner.sign_transaction(
        {
            "chainId": evm.w3.eth.chain_id,
            "nonce": evm.w3.eth.get_transaction_count(owner.address),
            "gas": 100_000,
            "gasPrice": 10**10,
            "to": str(wallet),
            "value": 0,
            "data": call,
        }
    )
    sent = evm.w3.eth.send_raw_transaction(signed.raw_transaction)
    assert evm.w3.eth.wait_for_transaction_receipt(sent)["status"] == 1


def test_a_wallet_that_is_not_deployed_and_a_designated_account(tmp_path):
    evm = Evm()
    world = World(make_store("sqlite", tmp_path), chains={1: evm})
    browser = world.browser()
    owner = Address.parse(browser.account)
    factory, salt = evm.deploy("Factory"), fixed("login salt")
    later = predicted(evm, factory, owner, salt)
    browser.account = str(later)
    signed = browser.message()
    wrapped = wrap(factory, deploy_call(owner, salt), sign(signed, browser.key))
    assert browser.send(signed, wrapped).is_success
    assert browser.http.get("/siwe/me").json()["sessions"][0]["signatureKind"] == "counterfactual"

    designated = world.browser()
    evm.designate(designated.key, evm.deploy("OwnedWallet", owner))
    designated.sign_in()
    world.clock.now += 1_000
    assert designated.http.get("/hello").is_success


def test_a_contract_where_none_can_be_asked_is_refused(world):
    browser = world.browser()
    signed = browser.message()
    assert code(browser.send(signed, bytes(66))) == "siwe-chain-required"


def test_a_chain_that_does_not_answer_is_said_to_be_unreachable():
    class Gone:
        def code(self, address):
            raise TimeoutError(str(address))

    browser = World(chains={1: Gone()}).browser()
    assert code(browser.send(browser.message()), 503) == "chain-unreachable"


def test_recaps_are_read_where_they_are_asked_for():
    browser = World(recaps=True).browser()
    assert code(browser.send(browser.message(resources=("urn:recap:e30",)))) == "recap"
    browser.sign_in(resources=("https://app.example/terms",))


def test_a_grant_does_not_show_its_secrets(world):
    browser = world.browser()
    signed = browser.message()
    signature = "0x" + sign(signed, browser.key).hex()
    grant = world.auth.service.sign_in(str(signed), signature, browser.cookie(BINDING))
    for secret in (grant.session_token, grant.refresh_token, grant.access_token):
        assert secret not in repr(grant)


def test_cookies_are_of_this_host_alone(world):
    browser = world.browser()
    first = browser.http.post("/siwe/nonce").headers.get_list("set-cookie")
    second = browser.sign_in().headers.get_list("set-cookie")
    names = set()
    for cookie in first + second:
        name, _, rest = cookie.partition("=")
        names.add(name)
        parts = {part.strip().lower() for part in rest.split(";")[1:]}
        assert {"secure", "httponly", "path=/"} <= parts
        assert not any(part.startswith("domain") for part in parts)
        assert f"samesite={'lax' if name == SESSION else 'strict'}" in parts
    assert names == {SESSION, REFRESH, BINDING}


def test_a_service_that_cannot_be_safe_does_not_start(tmp_path):
    with pytest.raises(LoginSettingsError):
        World(make_store("sqlite", tmp_path), secret=None)
    with pytest.raises(LoginSettingsError):
        World(secret=b"short")
    for change in ({"chains": {}}, {"session_seconds": 0}, {"contract_check": 3_601}):
        with pytest.raises(LoginSettingsError):
            settings(**change)
    for origins in ([], ["http://app.example"], ["https://app.example/"], ["https://App.example"],
                    ["https://bücher.example"], ["app.example"], ["https://*.example"], ["null"],
                    ["http://localhost:1", "https://localhost:1"]):  # fmt: skip
        with pytest.raises(ValueError, match=r"origin|http|scheme"):
            settings(origins=origins)
    assert settings(origins=["http://localhost:3000", "http://a.localhost", ORIGIN])


def test_what_is_over_is_swept_in_passing(world):
    browser = world.browser()
    browser.sign_in()
    assert world.store.sweep(NOW, 100) == 0
    world.clock.now += world.auth.service.settings.family_seconds + 1
    assert code(browser.http.get("/siwe/session")) == "not-signed-in"
    left = world.store.sweep(world.clock.now, 100)
    assert left == 0


def test_signing_in_is_not_slow_enough_to_stop_anybody(world):
    started = time.perf_counter()
    world.browser().sign_in()
    assert time.perf_counter() - started < 20
