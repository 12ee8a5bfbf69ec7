"""What a service may look like on a command line and in a configuration file."""

import pytest

from peerstream.node.gateway.callers import AllowList
from peerstream.node.gateway.errors import (
    BadAllowError,
    BadServiceError,
    ServiceConflictError,
    ServiceError,
)
from peerstream.node.gateway.service_spec import ServiceSpec, named_target, services_of
from peerstream.node.gateway.targets import TcpTarget, UdpTarget, UnixTarget, parse_target
from tests.node.services.memory_streams import CALLEE, CALLER


@pytest.mark.parametrize(
    ("text", "target", "shown"),
    [
        ("127.0.0.1:8080", TcpTarget(("127.0.0.1",), 8080), "127.0.0.1:8080"),
        ("8080", TcpTarget(("127.0.0.1",), 8080), "127.0.0.1:8080"),
        ("[::1]:80", TcpTarget(("::1",), 80), "[::1]:80"),
        ("localhost:3000", TcpTarget(("127.0.0.1", "::1"), 3000), "localhost:3000"),
        ("192.168.1.9:631", TcpTarget(("192.168.1.9",), 631), "192.168.1.9:631"),
        ("unix:/run/db.sock", UnixTarget("/run/db.sock"), "unix:/run/db.sock"),
        ("udp:127.0.0.1:53", UdpTarget("127.0.0.1", 53), "udp:127.0.0.1:53"),
        ("udp:[::1]:53", UdpTarget("::1", 53), "udp:[::1]:53"),
    ],
)
def test_targets_are_read_and_shown(text, target, shown):
    assert parse_target(text) == target
    assert str(target) == shown
    assert parse_target(shown) == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "65536",
        "-1",
        "example.com:80",
        "db.internal:5432",
        "0x7f000001:80",
        "127.1:80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:http",
        "127.0.0.1:+80",
        "127.0.0.1:٨٠",
        "::1:80",
        "[127.0.0.1]:80",
        "[fe80::1%lo]:80",
        "unix:relative.sock",
        "unix:/a\0b",
        "unix:/" + "a" * 108,
        "udp:dns.example:53",
        "http://127.0.0.1:80",
    ],
)
def test_what_is_no_place_of_ours_is_refused(text):
    with pytest.raises(BadServiceError):
        parse_target(text)


def test_a_table_is_read_and_written():
    table = {
        "name": "web",
        "target": "127.0.0.1:80",
        "allow": ["contacts", str(CALLER)],
        "level": "private",
        "proxy_protocol": False,
        "http": True,
    }
    spec = ServiceSpec.of_table(table)
    assert spec.allow == AllowList(contacts=True, accounts=frozenset({CALLER}))
    assert (spec.level, spec.http) == (1, True)
    assert spec.table() == table
    assert ServiceSpec.of_table(named_target("web=80")).table() == {
        **table,
        "allow": [],
        "level": None,
        "http": False,
    }


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ({"name": "web"}, BadServiceError),
        ({"name": "Web", "target": "80"}, BadServiceError),
        ({"name": "-web", "target": "80"}, BadServiceError),
        ({"name": "a" * 64, "target": "80"}, BadServiceError),
        ({"name": "web", "target": 80}, BadServiceError),
        ({"name": "web", "target": "80", "port": 1}, BadServiceError),
        ({"name": "web", "target": "80", "http": 1}, BadServiceError),
        ({"name": "web", "target": "80", "level": 1}, BadServiceError),
        ({"name": "web", "target": "80", "level": "public"}, BadServiceError),
        ({"name": "web", "target": "80", "allow": [1]}, BadServiceError),
        ({"name": "web", "target": "80", "allow": {"contacts": True}}, BadServiceError),
        ({"name": "web", "target": "80", "allow": ["friends"]}, BadAllowError),
        ({"name": "web", "target": "80", "allow": ["anyone", "contacts"]}, BadAllowError),
        ({"name": "web", "target": "80", "allow": ["0x" + "00" * 19]}, BadAllowError),
        (
            {"name": "web", "target": "80", "http": True, "proxy_protocol": True},
            ServiceConflictError,
        ),
        ({"name": "dns", "target": "udp:127.0.0.1:53", "http": True}, ServiceConflictError),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_by_name(table, error):
    with pytest.raises(error):
        ServiceSpec.of_table(table)


def test_names_differ():
    with pytest.raises(ServiceConflictError):
        services_of([named_target("web=80"), named_target("web=81")])
    with pytest.raises(ServiceError):
        named_target("8080")


@pytest.mark.parametrize(
    ("words", "admitted"),
    [
        ([], {CALLER, CALLEE}),
        (["anyone"], {CALLER, CALLEE, None}),
        (["contacts"], {CALLEE}),
        ([str(CALLER)], {CALLER}),
        ([str(CALLER), "contacts"], {CALLER, CALLEE}),
    ],
)
def test_who_may_call(words, admitted):
    allow = AllowList.of(words)
    callers = (CALLER, CALLEE, None)
    assert {each for each in callers if allow.admits(each, lambda a: a == CALLEE)} == admitted
    assert AllowList.of(allow.words()) == allow
