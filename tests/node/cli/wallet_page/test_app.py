"""The wallet's page against other pages, other names, other users of the machine, and time."""

import json
import re

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from peerstream.identity import LocalSigner
from peerstream.identity.delegation import STATEMENTS, Scope
from peerstream.identity.errors import BadSignatureError
from peerstream.node.cli.wallet_page.app import WalletPage
from peerstream.node.store.errors import StateUnavailableError
from tests.identity.samples import NETWORK, SIGNED

PORT = 4321
TYPED = SIGNED.delegation.typed_data(NETWORK)
SIGNATURE = "0x" + SIGNED.signature.hex()


class Taker:
    """Takes one signature, and no other."""

    def __init__(self):
        self.taken, self.ended, self.failing = [], 0, None

    def accept(self, signature):
        if self.failing is not None:
            raise self.failing
        if signature != SIGNED.signature:
            raise BadSignatureError("the signature is another account's")
        self.taken.append(signature)

    def end(self):
        self.ended += 1


@pytest.fixture
def taker():
    return Taker()


@pytest.fixture
def page(taker):
    page = WalletPage(TYPED, taker.accept, taker.end)
    page.serve_at(PORT)
    return page


@pytest.fixture
def client(page):
    return TestClient(page.app, base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False)


@pytest.fixture
def path(page):
    return page.url.removeprefix(f"http://127.0.0.1:{PORT}")


def post(client, path, body=None, **headers):
    return client.post(
        path,
        content=json.dumps({"signature": SIGNATURE} if body is None else body),
        headers={"content-type": "application/json", **headers},
    )


def test_the_page_loads_nothing_from_anywhere_and_is_in_nobodys_frame(client, path):
    for name, kind in (
        ("", "text/html"),
        ("page.js", "text/javascript"),
        ("style.css", "text/css"),
    ):
        answer = client.get(path + name)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert not re.search(r"https?://|//[a-z]|@import|<script>|style=|onclick=\"", answer.text)


def test_what_is_signed_is_shown_in_words(client, path):
    found = client.get(path + "request").json()
    assert found["typed"] == TYPED
    words = dict(found["words"])
    assert words["What you allow"] == STATEMENTS[Scope.ACCEPT | Scope.DIAL]
    assert words["Account"] == str(SIGNED.delegation.account)
    assert words["Identity key"] == "0x" + SIGNED.delegation.identity_key.hex()


def test_a_signature_is_taken_once(client, path, taker, page):
    assert post(client, path + "signature").json() == {"signed": True}
    assert taker.taken == [SIGNED.signature]
    assert taker.ended == 1
    assert page.signed
    for again in (
        post(client, path + "signature"),
        post(client, path + "decline", {}),
        client.get(path),
        client.get("/anything"),
    ):
        assert again.status_code == 410
    assert taker.taken == [SIGNED.signature]
    assert not page.declined


def test_a_person_may_decline(client, path, taker, page):
    assert post(client, path + "decline", {}).json() == {"declined": True}
    assert page.declined
    assert taker.ended == 1
    assert post(client, path + "signature").status_code == 410
    assert taker.taken == []


def test_another_signature_is_refused_and_may_be_tried_again(client, path, taker):
    other = LocalSigner(b"\x12" * 32).sign_typed_data(TYPED)
    answer = post(client, path + "signature", {"signature": "0x" + other.hex()})
    assert answer.status_code == 422
    assert answer.json()["code"] == "signature-refused"
    assert taker.ended == 0
    assert post(client, path + "signature").status_code == 200


def test_a_disk_that_keeps_nothing_ends_the_command(client, path, taker, page):
    taker.failing = StateUnavailableError("no space")
    assert post(client, path + "signature").status_code == 503
    assert page.failure is taker.failing
    assert taker.ended == 1
    assert not page.signed


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        {},
        {"signature": 1},
        {"signature": None},
        {"signature": "0x"},
        {"signature": "0x0"},
        {"signature": "0x" + "00" * 4_097},
        {"signature": SIGNATURE + "\n"},
        {"signature": "zz"},
        {"signature": {"a": []}},
    ],
)
def test_what_is_no_signature_is_refused_unread(client, path, taker, body):
    assert post(client, path + "signature", body).status_code == 422
    assert taker.taken == []


def test_bodies_are_bounded_and_json(client, path, taker):
    for content, kind, status in (
        (b"x" * 16_385, "application/json", 413),
        (b"signature=0x00", "application/x-www-form-urlencoded", 415),
        (json.dumps({"signature": SIGNATURE}).encode(), "text/plain", 415),
        (b"[" * 5_000, "application/json", 422),
        (b"", "application/json", 422),
        (b"{", "application/json", 422),
    ):
        headers = {"content-type": kind}
        answer = client.post(path + "signature", content=content, headers=headers)
        assert answer.status_code == status, content[:20]
        assert answer.json()["status"] == status
    assert taker.taken == []


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1",
        "http://127.0.0.1:80",
        f"https://127.0.0.1:{PORT}",
        f"http://127.0.0.1:{PORT}.evil.example",
        "",
    ],
)
def test_another_pages_post_is_refused(client, path, taker, origin):
    for name in ("signature", "decline"):
        answer = post(client, path + name, origin=origin)
        assert answer.status_code == 403
        assert answer.json()["code"] == "foreign-origin"
    assert taker.taken == []
    assert taker.ended == 0


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_request_that_the_browser_says_is_anothers_is_refused(client, path, taker, site):
    assert post(client, path + "signature", **{"sec-fetch-site": site}).status_code == 403
    assert taker.taken == []


def test_the_pages_own_post_is_taken(client, path, taker):
    answer = post(
        client,
        path + "signature",
        **{"origin": f"http://127.0.0.1:{PORT}", "sec-fetch-site": "same-origin"},
    )
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", "", f"[::1]:{PORT}"],
)
def test_a_name_that_was_pointed_at_us_is_not_ours(client, path, host, taker):
    for answer in (
        client.get(path, headers={"host": host}),
        post(client, path + "signature", host=host),
    ):
        assert answer.status_code == 421
        assert "PeerStream" not in answer.text
    assert taker.taken == []


def test_before_it_listens_nothing_is_for_it(taker):
    page = WalletPage(TYPED, taker.accept, taker.end)
    assert TestClient(page.app, base_url="http://127.0.0.1:0").get("/x/").status_code == 404
    assert TestClient(page.app, base_url="http://127.0.0.1:80").get("/x/").status_code == 421


def test_without_the_path_there_is_nothing(client, path, taker):
    shown = [
        client.get(bad)
        for bad in ("/", "/x/", "/x/page.js", "/x/request", path[:-2] + "/", path[:-1], path + "x")
    ]
    assert {answer.status_code for answer in shown} == {404}
    assert len({answer.text for answer in shown}) == 1
    for name in ("signature", "decline"):
        assert post(client, "/x/" + name).status_code == 404
    for bad in ("../identity.py", "%2e%2e/app.py", "app.py", "page.html", ".."):
        assert client.get(path + bad).status_code == 404
    assert client.post(path, content=b"").status_code == 405
    assert client.put(path + "signature", content=b"").status_code == 405
    assert taker.ended == 0


def test_what_a_browser_is_started_with_works_once(client, page):
    first, path = page.opening_url, page.url.removeprefix(f"http://127.0.0.1:{PORT}")
    assert path.strip("/") not in first
    answer = client.get(first)
    assert (answer.status_code, answer.headers["location"]) == (303, page.url)
    assert client.get(first).status_code == 404
    assert client.get(f"http://127.0.0.1:{PORT}/open/None").status_code == 404
    assert client.get(f"http://127.0.0.1:{PORT}/open/").status_code == 404


def test_each_page_has_paths_of_its_own(page, taker):
    other = WalletPage(TYPED, taker.accept, taker.end)
    other.serve_at(PORT)
    assert len({page.url, other.url, page.opening_url, other.opening_url}) == 4
    assert all(len(url) > 40 for url in (page.url, page.opening_url))


def test_a_websocket_is_closed(client, path):
    with pytest.raises(WebSocketDisconnect) as caught, client.websocket_connect(path):
        pass
    assert caught.value.code == 1008
