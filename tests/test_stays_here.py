"""The guard of conftest.py holds: a test that would leave this machine fails instead."""

import socket

import pytest


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        (socket.SOCK_STREAM, ("192.0.2.1", 80)),
        (socket.SOCK_DGRAM, ("192.0.2.1", 53)),
    ],
)
def test_a_connection_to_another_machine_is_refused(kind, address):
    with socket.socket(socket.AF_INET, kind) as sock:
        with pytest.raises(AssertionError, match="stays on its machine"):
            sock.connect(address)
        if kind == socket.SOCK_DGRAM:
            with pytest.raises(AssertionError, match="stays on its machine"):
                sock.sendto(b"who is there?", address)


def test_a_name_is_not_looked_up():
    with pytest.raises(AssertionError, match="stays on its machine"):
        socket.getaddrinfo("relay.example", 80)


def test_loopback_is_this_machine():
    with socket.create_server(("127.3.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
    assert socket.getaddrinfo("127.0.0.1", 80)
