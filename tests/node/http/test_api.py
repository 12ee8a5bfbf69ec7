"""The local API over real sockets: what it answers, and whom it does not (SPEC 17.7)."""

import re

import pytest
import trio

from peerstream.node.http import server as server_module
from peerstream.node.http.events import LISTENERS_MAX
from tests.node.http.serving import CARD, TOKEN, served

READING = ("/v1/status", "/v1/identity", "/v1/circuits", "/v1/contacts")
GUARDED = (*READING, "/metrics", "/v1/checks", "/v1/nothing", "/nothing")
UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec_websocket_version": "13",
    "sec_websocket_key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "run"
    path.mkdir(mode=0o700)
    return path


async def test_the_owner_is_answered(folder):
    async with served(folder) as api:
        for path in READING:
            for by_port in (False, True):
                answer = await api.ask("GET", path, by_port=by_port)
                assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
        assert (await api.ask("POST", "/v1/checks")).json()["checks"][0]["ok"] is True
        assert (await api.ask("GET", "/livez")).json() == {"live": True}
        assert (await api.ask("GET", "/readyz")).json() == {"ready": True}
        api.daemon.ready = False
        assert (await api.ask("GET", "/readyz")).status == 503
        assert api.bugs == []


async def test_contacts_come_and_go(folder):
    async with served(folder) as api:
        made = await api.ask("POST", "/v1/contacts", body={"alias": "bob", "card": CARD})
        assert made.json()["alias"] == "bob"
        assert "ab" * 32 not in str((await api.ask("GET", "/v1/contacts")).body)
        assert (await api.ask("DELETE", "/v1/contacts/bob")).json() == {"done": True}
        gone = await api.ask("DELETE", "/v1/contacts/bob")
        assert (gone.status, gone.json()["code"]) == (404, "unknown-contact")


async def test_a_page_that_has_its_name_lead_here_is_refused(folder):
    """DNS rebinding: the browser thinks that the API is the page's own site."""
    async with served(folder) as api:
        names = ("evil.example", f"evil.example:{api.port}", "localhost", "127.0.0.1", "", None)
        for name in (*names, f"localhost:{api.port}@evil.example", f"LOCALHOST.:{api.port}"):
            for path in ("/v1/identity", "/docs", "/livez", "/metrics"):
                assert (await api.ask("GET", path, by_port=True, host=name)).status in {400, 421}
        assert (await api.ask("GET", "/v1/identity", host="evil.example")).status == 421
        twice = f"GET /livez HTTP/1.1\r\nhost: localhost:{api.port}\r\nhost: evil.example\r\n\r\n"
        assert b" 400 " in await api.raw(twice.encode(), by_port=True)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost"},
        {"origin": "http://0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a.localhost:8181"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
async def test_another_site_s_page_is_refused(folder, headers):
    async with served(folder) as api:
        for by_port in (False, True):
            for method, path in (("GET", "/v1/status"), ("POST", "/v1/contacts"), ("GET", "/docs")):
                answer = await api.ask(method, path, by_port=by_port, **headers)
                assert (answer.status, answer.json()["code"]) == (403, "foreign-origin")
                assert "access-control-allow-origin" not in answer.headers
        preflight = {"access_control_request_method": "POST", **headers}
        assert (await api.ask("OPTIONS", "/v1/contacts", by_port=True, **preflight)).status == 403


async def test_our_own_page_may_ask(folder):
    async with served(folder) as api:
        origin = f"http://localhost:{api.port}"
        answer = await api.ask("GET", "/v1/status", by_port=True, origin=origin)
        assert answer.status == 200


@pytest.mark.parametrize(
    "shown",
    [None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN,
     f"Basic {TOKEN}", f"Bearer {TOKEN} {TOKEN}", "Bearer \xff\xfe", "Bearer " + "a" * 5_000],
)  # fmt: skip
async def test_a_port_asks_for_the_token(folder, shown):
    async with served(folder) as api:
        for path in GUARDED:
            answer = await api.ask("GET", path, by_port=True, authorization=shown)
            assert answer.status in {400, 401}
        for path in ("/livez", "/docs", "/openapi.json"):
            answer = await api.ask("GET", path, by_port=True, authorization=shown)
            assert answer.status in {200, 400}
    assert TOKEN not in repr(api)


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/v1/../run/api.token", "/docs/../../run/api.token", "/%2e%2e/%2e%2e/etc",
     "//etc/passwd", "/v1/contacts/..%2f..%2fkeystore", "/v1/contacts/%00", "/v1/contacts/a%0d%0ab",
     "/static/api.token", "/v1//status", "/v1/contacts/" + "a" * 4_000],
)  # fmt: skip
async def test_no_path_leads_out(folder, path):
    (folder / "api.token").write_text("the token of this run")
    async with served(folder) as api:
        for method in ("GET", "DELETE"):
            answer = await api.ask(method, path)
            assert answer.status in {400, 404, 405, 422}
            assert b"the token" not in answer.body
            assert "location" not in answer.headers
        assert api.bugs == []


async def test_bodies_are_bounded_json(folder):
    async with served(folder) as api:
        big = {"alias": "a", "card": "x" * 20_000}
        assert (await api.ask("POST", "/v1/contacts", body=big)).status == 413
        endless = (
            b"POST /v1/contacts HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"transfer-encoding: chunked\r\n\r\n" + b"1000\r\n" + b"a" * 4_096 + b"\r\n"
        )
        async with await api.connect() as stream:
            await stream.send_all(endless)
            answer = b""
            with trio.fail_after(20):
                try:
                    while b" 413 " not in answer:
                        await stream.send_all(b"1000\r\n" + b"a" * 4_096 + b"\r\n")
                        with trio.move_on_after(0.01):
                            answer += await stream.receive_some()
                except trio.BrokenResourceError:
                    answer += await stream.receive_some()
        assert b" 413 " in answer
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            answer = await api.ask(
                "POST", "/v1/contacts", body={"alias": "a", "card": CARD}, content_type=kind
            )
            assert answer.status == 415
        for body in (b"{", b"[" * 10_000, b"\xff", b'{"alias": "a", "card": NaN}'):
            assert (await api.ask("POST", "/v1/contacts", body=body)).status == 422
        for wrong in ({}, {"alias": "A", "card": CARD}, {"alias": "a", "card": CARD, "more": 1}):
            assert (await api.ask("POST", "/v1/contacts", body=wrong)).status == 422
        assert api.daemon.kept == {}
        assert api.bugs == []


async def test_a_bug_ends_one_request_and_says_nothing(folder):
    async with served(folder) as api:
        api.daemon.broken = True
        answer = await api.ask("GET", "/v1/status")
        assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
        assert b"secret" not in answer.body
        assert [type(error) for error in api.bugs] == [ZeroDivisionError]
        assert (await api.ask("GET", "/livez")).status == 200


async def test_other_methods_are_named(folder):
    async with served(folder) as api:
        answer = await api.ask("PUT", "/v1/contacts")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")


async def test_metrics_name_nobody(folder):
    async with served(folder) as api:
        answer = await api.ask("GET", "/metrics")
        text = answer.body.decode()
        assert "# TYPE psp_faults_total counter" in text
        assert "psp_links 2.0" in text
        assert "{" not in text


async def test_the_page_loads_nothing_from_elsewhere(folder):
    async with served(folder) as api:
        answer = await api.ask("GET", "/docs")
        page = answer.body.decode()
        assert "<script" not in page
        assert re.findall(r'(?:src|href)="([^"#]+)', page) == ["/docs.css", "/openapi.json"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        for path in (await api.ask("GET", "/openapi.json")).json()["paths"]:
            assert path in page
        assert (await api.ask("GET", "/docs.css")).headers["content-type"].startswith("text/css")


async def events(api, stream, **headers):
    sent = {"host": "localhost", **UPGRADE, **headers}
    lines = ["GET /v1/events HTTP/1.1", *(f"{k.replace('_', '-')}: {v}" for k, v in sent.items())]
    await stream.send_all(("\r\n".join(lines) + "\r\n\r\n").encode())
    got = b""
    while b"\r\n\r\n" not in got:
        got += await stream.receive_some()
    return got


async def test_events_begin_with_the_status(folder):
    async with served(folder) as api, await api.connect() as stream:
        got = await events(api, stream)
        assert b" 101 " in got
        while b'"status"' not in got:
            got += await stream.receive_some()
        api.daemon.happened.tell("contacts")
        with trio.fail_after(20):
            while b'"contacts"' not in got:
                got += await stream.receive_some()


async def test_who_may_not_ask_hears_no_events(folder):
    async with served(folder) as api:
        host = f"localhost:{api.port}"
        for by_port, headers in (
            (False, {"origin": "https://evil.example"}),
            (False, {"host": "evil.example"}),
            (True, {"host": host}),
            (True, {"host": host, "authorization": "Bearer wrong"}),
        ):
            async with await api.connect(by_port=by_port) as stream:
                assert b" 403 " in await events(api, stream, **headers)


async def test_listeners_that_go_make_room(folder):
    async with served(folder) as api:
        for _ in range(2 * LISTENERS_MAX):
            async with await api.connect() as stream:
                assert b" 101 " in await events(api, stream)
            with trio.fail_after(20):
                while api.daemon.happened._channels:  # noqa: ASYNC110 - its own affair
                    await trio.sleep(0.001)


async def test_so_many_connections_and_no_more(folder, monkeypatch):
    monkeypatch.setattr(server_module, "CONNECTIONS_MAX", 2)
    async with served(folder) as api, await api.connect() as one, await api.connect() as two:
        for stream in (one, two):
            await stream.send_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert b" 200 " in await stream.receive_some()
        assert await api.raw(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n") == b""


async def test_a_client_that_never_reads_does_not_hold_the_end_up(folder):
    with trio.fail_after(20):
        async with served(folder) as api:
            stream = await api.connect()
            question = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"
            with trio.move_on_after(0.5):
                await stream.send_all(question * 2_000)
        await stream.aclose()


async def test_services_come_and_go(folder):
    async with served(folder) as api:
        service = {"name": "web", "target": "127.0.0.1:8080"}
        made = await api.ask("POST", "/v1/services", body=service)
        assert made.json() == {
            **service,
            "allow": [],
            "level": None,
            "proxy_protocol": False,
            "http": False,
        }
        listed = (await api.ask("GET", "/v1/services")).json()["services"]
        assert [each["name"] for each in listed] == ["web"]
        assert (await api.ask("DELETE", "/v1/services/web")).json() == {"done": True}
        gone = await api.ask("DELETE", "/v1/services/web")
        assert (gone.status, gone.json()["code"]) == (404, "unknown-service")
        for wrong in (
            {"name": "A", "target": "127.0.0.1:1"},
            {"name": "a"},
            {"name": "a", "target": ""},
            {"name": "a", "target": "nowhere"},
            {**service, "level": "public"},
            {**service, "allow": ["somebody"]},
            {**service, "http": 0},
            {**service, "http": True, "proxy_protocol": True},
        ):
            assert (await api.ask("POST", "/v1/services", body=wrong)).status == 422
        assert api.bugs == []


async def test_what_the_server_s_library_trips_over_ends_one_connection(folder):
    # hypercorn takes an upgrade to HTTP/2 before it asks us, and raises for settings of no Base64
    upgrade = (
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n"
    )
    async with served(folder) as api:
        for by_port in (False, True):
            assert b"200" not in await api.raw(upgrade, by_port=by_port)
        assert (await api.ask("GET", "/livez")).json() == {"live": True}
