"""nginx of Debian reads our PROXY v2 header (SPEC 19.4): a decoder that is not ours."""

import subprocess
import time

import pytest
import trio

from peerstream.node.gateway.proxy_header import ip_of
from peerstream.node.lab.places import free_endpoint
from tests.node.gateway.local import called, exposed, read_all
from tests.node.services.memory_streams import CALLER
from tests.system.login.programs import PATIENCE_S

CONFIGURATION = """
daemon off; master_process off; pid {directory}/pid; error_log {directory}/error.log debug;
events {{}}
http {{
    access_log off; client_body_temp_path {directory}; proxy_temp_path {directory};
    fastcgi_temp_path {directory}; uwsgi_temp_path {directory}; scgi_temp_path {directory};
    server {{
        listen 127.0.0.1:{port} proxy_protocol;
        location / {{ return 200 "[$proxy_protocol_addr]"; }}
    }}
}}
"""


@pytest.fixture
def nginx(tmp_path):
    """Run nginx; gives its port."""
    port = free_endpoint("127.0.0.1").port
    file = tmp_path / "nginx.conf"
    file.write_text(CONFIGURATION.format(directory=tmp_path, port=port))
    process = subprocess.Popen(["/usr/sbin/nginx", "-e", tmp_path / "first.log", "-c", file])
    until = time.monotonic() + PATIENCE_S
    while not (tmp_path / "pid").exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)  # another process: its clock is the real one
    yield port
    process.terminate()
    process.wait(PATIENCE_S)


@pytest.mark.parametrize("caller", [CALLER, None])
async def test_nginx_shows_who_calls(nginx, caller):
    allow = [] if caller is not None else "anyone"
    service = exposed(nginx, proxy_protocol=True, allow=allow)
    with trio.fail_after(PATIENCE_S):
        async with called(service, caller=caller, patience_s=PATIENCE_S) as (ours, _):
            await ours.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await ours.send_end()
            answer = await read_all(ours)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(f"\r\n\r\n[{ip_of(caller)}]".encode())
