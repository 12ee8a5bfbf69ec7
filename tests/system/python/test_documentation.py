"""Every program of docs/python.md and the one of the README run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread

import peerstream
from peerstream.identity.signer import LocalSigner
from peerstream.node.chain.devnet.accounts import dev_accounts
from peerstream.node.lab.places import CALLEE, CALLER
from tests.system.python.daemons import PSP, daemon

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = ("README.md", "docs/python.md")
LIMIT_S = 900.0
PROGRAM_S = 200


def programs():
    for page in PAGES:
        text = (ROOT / page).read_text()
        for number, body in enumerate(
            re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        ):
            yield f"{page} {number}", body


async def echo(stream):
    async for data in stream:
        await stream.send(data)
    await stream.send_eof()


async def echo_datagrams(stream):
    async for data in datagrams(stream):
        await stream.send_datagram(data, 30.0)


async def datagrams(stream):
    try:
        while True:
            yield await stream.receive_datagram()
    except (anyio.EndOfStream, peerstream.StreamBrokenError):
        return


async def web(stream):
    await stream.receive()
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
    await stream.send(answer)


def test_the_programs_of_the_documentation(network, tmp_path):
    anyio.run(play, network, tmp_path)


async def play(network, home):
    alice, caller, bob = dev_accounts()[-7], dev_accounts()[-8], dev_accounts()[-9]
    (home / "network.json").write_bytes(network.file.read_bytes())
    (home / "wallet.hex").write_text(bob.secret.hex())
    cards = {
        name: peerstream.create_identity(
            LocalSigner(account.secret), network.file, home / name, listed=True
        )
        for name, account in (("alice", alice), ("caller", caller))
    }
    (home / "alice.card").write_text(cards["alice"])
    with anyio.fail_after(LIMIT_S):
        async with (
            daemon(network.file, home / "alice", CALLEE) as callee,
            daemon(network.file, home / "caller", CALLER),
            anyio.create_task_group() as tasks,
        ):
            for name, handler in (("echo", echo), ("dgram", echo_datagrams), ("web", web)):
                tasks.start_soon((await callee.listen(name)).serve, handler)
            await run(home, *PSP, "contact", "add", "alice", cards["alice"])
            for name, body in programs():
                said = await run(home, sys.executable, "-c", body)
                assert said.strip(), f"{name} said nothing"
            tasks.cancel_scope.cancel()


async def run(home, *command):
    """Run a command of the user's and return what it said; it must succeed."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PSP_NETWORK": str(home / "network.json"),
        "PSP_STATE": str(home / "caller"),
    }

    def finish():
        return subprocess.run(
            command, cwd=home, env=environment, capture_output=True, text=True, check=False,
            timeout=PROGRAM_S,
        )  # fmt: skip

    done = await anyio.to_thread.run_sync(finish)
    assert done.returncode == 0, done.stderr + command[-1]
    return done.stdout
