"""The pages' shell blocks as a reader types them, in a network namespace of their own.

There the ports that the pages name are free, and nothing leads anywhere else.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.code_blocks import ROOT, blocks_for

PATIENCE_S = 600
BLOCKS = blocks_for(Path(__file__).relative_to(ROOT).as_posix())
BEFORE = "set -eu\nip link set lo up\n"
# What a reader has before the page begins.
GIVEN = """
psp devnet up --relays 12 --state-dir devnet >/dev/null
export PSP_NETWORK=devnet/run/network.json
cp devnet/run/network.json network.json
(umask 077; openssl rand -hex 32 >wallet)
psp id new --wallet-key wallet --state me >/dev/null
"""
WAIT = "until [ -S me/run/api.sock ]; do sleep 0.2; done\n"
AFTER = "psp devnet down --state-dir devnet >/dev/null\n"


@pytest.fixture
def reader(tmp_path):
    """Run a script in an empty directory and a network of its own; return what it printed."""
    unshare = shutil.which("unshare")
    assert unshare is not None
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PSP_")}

    def run(script):
        # a group of its own, so that what the page left in the background ends with it
        process = subprocess.Popen(
            [unshare, "--net", "bash", "-c", BEFORE + script],
            cwd=tmp_path,
            env={**environment, "PATH": path, "XDG_CONFIG_HOME": str(tmp_path / "config")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            pytest.fail(f"it hangs:\n{said}")
        assert process.returncode == 0, said
        return said

    return run


def ended(script):
    """End what the script left in the background, and wait for it."""
    return f"{script}\nkill $(jobs -p)\nwait || true\n{AFTER}"


def test_every_block_is_run_here():
    assert {page: len(texts) for page, texts in BLOCKS.items()} == {
        "README.md": 1,
        "docs/daemon.md": 2,
    }


def test_the_sixty_seconds_of_the_front_page(reader):
    said = reader(ended(BLOCKS["README.md"][0]))
    assert "Directory listing" in said
    assert "server is a contact" in said


def test_the_page_of_the_daemon(reader):
    first, second = BLOCKS["docs/daemon.md"]
    start, _, rest = first.partition("\n")
    said = reader(GIVEN + ended("\n".join([start, WAIT + rest, second])))
    assert "12 relays (chain)" in said
    assert "no contacts yet" in said
    assert "psp_ready 1.0" in said
    assert "✗" not in said.replace("✗ core dumps", "")
