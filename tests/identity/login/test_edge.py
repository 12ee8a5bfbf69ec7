"""The HTTP edge: sizes, types, rates, headers, and what OpenAPI says."""

import re

import pytest
from starlette.testclient import TestClient

from peerstream.identity.web.limits import Rate, RateLimiter, client_of
from peerstream.identity.web.problem import ProblemError
from peerstream.identity.web.routes import BODY_MAXIMUM
from tests.identity.login.world import SESSION, World, code


@pytest.fixture
def http():
    return World().browser().http


def test_a_body_is_bounded_with_and_without_a_length(http):
    large = b'{"message": "' + b"a" * BODY_MAXIMUM + b'", "signature": "0x"}'
    headers = {"content-type": "application/json"}
    assert code(http.post("/siwe/verify", content=large, headers=headers), 413) == "too-large"
    chunks = (large[place : place + 1_000] for place in range(0, len(large), 1_000))
    assert code(http.post("/siwe/verify", content=chunks, headers=headers), 413) == "too-large"


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
        "application/jsonx",
    ],
)
def test_a_form_of_another_site_is_no_request(http, kind):
    headers = {"content-type": kind} if kind else {}
    answer = http.post("/siwe/verify", content=b'{"message":"a","signature":"0x"}', headers=headers)
    assert code(answer, 415) == "unsupported-media-type"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"message": 5, "signature": "0x"}',
        b'{"message": "a"}',
        b'{"message": "", "signature": "0x"}',
        b'{"message": "' + b"a" * 4_097 + b'", "signature": "0x"}',
        b'{"message": "a", "signature": "0x' + b"0" * 4_097 + b'"}',
        b'{"message": null, "signature": null, "<script>": 1}',
        b"\xff\xfe",
        b"[" * 5_000,
        b'{"message": "\\ud800", "signature": "0x"}',
    ],
)
def test_a_malformed_request_is_refused_and_not_repeated(http, body):
    answer = http.post("/siwe/verify", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (401, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "script" not in answer.text
    assert "aaaa" not in answer.text


def test_a_hostile_message_is_refused_without_being_repeated(http):
    http.post("/siwe/nonce")
    body = {"message": "<script>alert(1)</script>\r\nSet-Cookie: a=b", "signature": "0x00"}
    answer = http.post("/siwe/verify", json=body)
    assert code(answer) == "header"
    assert "script" not in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x=y", "a" * 200, "é", "", '"quoted"', "a;b"])
def test_cookies_of_a_stranger_s_make_are_no_sessions_and_split_no_header(value):
    world = World()
    http = TestClient(world.app, base_url="https://app.example")
    raw = f"{SESSION}={value}; __Host-psp-login={value}; __Host-psp-refresh={value}".encode()
    answer = http.post("/siwe/nonce", headers=[(b"cookie", raw)])
    assert answer.status_code == 200
    for header in answer.headers.get_list("set-cookie"):
        assert header.startswith("__Host-psp-login=")
        assert re.fullmatch(r"[\w-]{43}", header.split(";")[0].partition("=")[2])
    for path in ("/siwe/session", "/hello"):
        assert code(http.get(path, headers=[(b"cookie", raw)])) == "not-signed-in"


def test_no_answer_is_framed_sniffed_kept_or_leads_elsewhere(http):
    answers = [
        http.post("/siwe/nonce"),
        http.get("/siwe/session"),
        http.post("/siwe/verify", json={"message": "a", "signature": "0x"}),
        http.post("/siwe/logout", headers={"origin": "https://evil.example"}),
    ]
    for answer in answers:
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "location" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers


def test_one_client_is_slowed_down_and_others_are_not():
    world = World(nonce_rate=Rate(3, 0.001), verify_rate=Rate(2, 0.001))
    here = TestClient(world.app, base_url="https://app.example", client=("192.0.2.1", 1))
    there = TestClient(world.app, base_url="https://app.example", client=("192.0.2.2", 1))
    for _ in range(3):
        assert here.post("/siwe/nonce").is_success
    refused = here.post("/siwe/nonce")
    assert code(refused, 429) == "too-many-requests"
    assert int(refused.headers["retry-after"]) > 1
    assert there.post("/siwe/nonce").is_success
    body = {"message": "a", "signature": "0x"}
    for _ in range(2):
        assert code(here.post("/siwe/verify", json=body)) == "header"
    assert code(here.post("/siwe/verify", json=body), 429) == "too-many-requests"
    assert code(here.post("/siwe/refresh"), 429) == "too-many-requests"


def test_a_bucket_fills_again_and_never_over_its_brim():
    now = [0.0]
    limiter = RateLimiter(Rate(2, 60), lambda: now[0])
    limiter.take("a")
    limiter.take("a")
    with pytest.raises(ProblemError):
        limiter.take("a")
    now[0] += 1
    limiter.take("a")
    now[0] += 1_000
    limiter.take("a")
    limiter.take("a")
    with pytest.raises(ProblemError):
        limiter.take("a")


def test_clients_are_forgotten_when_there_are_too_many():
    limiter = RateLimiter(Rate(2, 60), lambda: 0.0)
    for number in range(70_000):
        limiter.take(str(number))
    assert len(limiter) == 65_536


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("testclient", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_household_is_one_client(host, client):
    assert client_of(host) == client


def test_openapi_has_the_endpoints_and_says_what_protects_them():
    document = World().app.openapi()
    schemes = document["components"]["securitySchemes"]
    assert schemes["session"] == {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION,
        "description": "Set by /siwe/verify.",
    }
    assert schemes["token"]["scheme"] == "bearer"
    for path, method in (("/siwe/session", "get"), ("/siwe/logout", "post"), ("/hello", "get")):
        security = document["paths"][path][method]["security"]
        assert {"session": []} in security
        assert {"token": []} in security
    for path in ("/siwe/nonce", "/siwe/verify"):
        assert "security" not in document["paths"][path]["post"]
    ids = [o["operationId"] for p in document["paths"].values() for o in p.values()]
    assert len(set(ids)) == len(ids)


def test_an_application_without_our_handlers_says_no_too():
    http = World(problems=False).browser().http
    assert code(http.get("/siwe/session")) == "not-signed-in"
    answer = http.get("/hello")
    assert answer.status_code == 401
    assert answer.json() == {"detail": "there is no session"}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/siwe/nonce", "GET, POST"), ("/siwe/me", "DELETE, GET"), ("/siwe/verify", "POST")],
)
def test_a_method_that_a_path_does_not_have_is_told_which_it_has(http, path, allowed):
    for method in ("PUT", "OPTIONS", "TRACE", "PATCH"):
        answer = http.request(method, path)
        assert code(answer, 405) == "method-not-allowed"
        assert answer.headers["allow"] == allowed
