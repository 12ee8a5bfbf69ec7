"""js-libp2p dials our host and is dialled by it: echo and bulk, both ways."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

with warnings.catch_warnings():
    # libp2p 0.8.1 imports websockets.legacy, which websockets deprecates; nothing of ours uses it.
    warnings.filterwarnings("ignore", "websockets", DeprecationWarning)
    from libp2p.network.stream.exceptions import StreamEOF

from multiaddr import Multiaddr

from peerstream.node.network.host import Host

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).parent / "js"
BUILD = ROOT / "build" / "js-interop"
FILES = ("package.json", "package-lock.json", ".npmrc", "peer.mjs")
BULK = 8_000_000
CHUNK = 60_000
PAYLOAD = bytes((i * 31 + (i >> 8)) & 0xFF for i in range(BULK))
PATIENCE_S = 60.0
LOOPBACK = Multiaddr("/ip4/127.0.0.1/tcp/0")


def tool(name: str) -> str:
    """Return node or npm: the one beside this Python, else the one on the path."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found is not None, f"{name} is needed: install the extra [dev]"
    return found


@pytest.fixture(scope="module")
def script() -> Path:
    """Install what the lock file names, in build/, once."""
    BUILD.mkdir(parents=True, exist_ok=True)
    changed = False
    for name in FILES:
        old, new = BUILD / name, (SOURCE / name).read_bytes()
        if not old.exists() or old.read_bytes() != new:
            old.write_bytes(new)
            changed = changed or name.startswith("package")
    if changed or not (BUILD / "node_modules").exists():
        path = f"{Path(tool('node')).parent}{os.pathsep}{os.environ['PATH']}"
        command = [tool("npm"), "ci", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=BUILD, env={**os.environ, "PATH": path}, check=True)
    return BUILD / "peer.mjs"


class JsPeer:
    """The process and what it says, line by line."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self._text = b""

    async def hear(self) -> dict:
        while b"\n" not in self._text:
            data = await self.process.stdout.receive_some(65_536)
            assert data, "the js peer left"
            self._text += data
        line, _, self._text = self._text.partition(b"\n")
        return json.loads(line)

    async def say(self, text: str) -> None:
        await self.process.stdin.send_all(text.encode() + b"\n")


@asynccontextmanager
async def js_peer(script: Path) -> AsyncIterator[JsPeer]:
    process = await trio.lowlevel.open_process(
        [tool("node"), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    peer = JsPeer(process)
    try:
        with trio.fail_after(PATIENCE_S):
            yield peer
            await peer.say("stop")
            await process.wait()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdin.aclose()
            await process.stdout.aclose()


async def read_all(stream) -> bytes:
    data = bytearray()
    while True:
        try:
            data += await stream.read(65_536)
        except StreamEOF:
            return bytes(data)


async def write_all(stream) -> None:
    for start in range(0, BULK, CHUNK):
        await stream.write(PAYLOAD[start : start + CHUNK])


async def echo(stream) -> None:
    await stream.write(await read_all(stream))
    await stream.close()


async def sink(stream) -> None:
    await stream.write(hashlib.sha256(await read_all(stream)).hexdigest().encode())
    await stream.close()


async def source(stream) -> None:
    await write_all(stream)
    await stream.close()


async def test_js_dials_us(script: Path) -> None:
    host = Host(os.urandom(32))
    for protocol, handler in {"/echo/1": echo, "/sink/1": sink, "/source/1": source}.items():
        host.set_handler(protocol, handler)
    async with js_peer(script) as peer, host.run([LOOPBACK]):
        digest = (await peer.hear())["digest"]
        assert digest == hashlib.sha256(PAYLOAD).hexdigest()
        await peer.say(f"{host.addresses[0]}/p2p/{host.peer_id}")
        assert await peer.hear() == {
            "echoed": "hello from js",
            "sunk": digest,
            "sourced": digest,
            "encryption": "/noise",
            "muxer": "/yamux/1.0.0",
        }
        assert host.counters["bug"] == 0


async def test_we_dial_js(script: Path) -> None:
    host = Host(os.urandom(32))
    async with js_peer(script) as peer, host.run():
        hello = await peer.hear()
        address = Multiaddr(hello["addresses"][0])
        relay_id = Multiaddr(hello["addresses"][0]).value_for_protocol("p2p")
        connection = await host.dial(raw_key(relay_id), [address])
        stream = await host.open_stream(connection, "/echo/1")
        await stream.write(b"hello from py")
        await stream.close_write()
        assert await read_all(stream) == b"hello from py"
        stream = await host.open_stream(connection, "/sink/1")
        await write_all(stream)
        await stream.close_write()
        assert (await read_all(stream)).decode() == hello["digest"]
        stream = await host.open_stream(connection, "/source/1")
        await stream.close_write()
        assert await read_all(stream) == PAYLOAD
        assert host.counters["bug"] == 0


def raw_key(peer_id: str) -> bytes:
    """Return the Ed25519 key inside a PeerID."""
    from libp2p.peer.id import ID  # noqa: PLC0415  # after the filter above

    return ID.from_base58(peer_id).to_bytes()[-32:]
