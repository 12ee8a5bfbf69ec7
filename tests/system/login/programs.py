"""Programs that the tests of the login run: npm packages, services, servers on loopback."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import uvicorn

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
EXAMPLES = ROOT / "examples" / "login"
SDK = ROOT / "sdk" / "login"
BROWSER = HERE / "browser"
PATIENCE_S = 120.0


def tool(name: str) -> str:
    """Return node or npm: the one beside this Python, else the one on the path."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found is not None, f"{name} is needed: install the extra [dev]"
    return found


def run(*command: str | Path, cwd: Path = ROOT, **options: object) -> str:
    """Run a program to its end and return what it printed; show all of it when it failed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S * 3,
        check=False,
        **options,
    )
    said = f"{command}\n{done.stdout[-8_000:]}\n{done.stderr[-8_000:]}"
    assert done.returncode == 0, said
    return done.stdout


def example(name: str) -> ModuleType:
    """Load a program of examples/login; another package calls itself `examples`."""
    spec = importlib.util.spec_from_file_location(f"login_example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def npm_packages(place: Path) -> None:
    """Install what a package-lock.json names, once."""
    lock = (place / "package-lock.json").read_bytes()
    wanted = hashlib.sha256(lock).hexdigest()
    stamp = place / "node_modules" / ".installed-from"
    if not stamp.exists() or stamp.read_text() != wanted:
        run(tool("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=place)
        stamp.write_text(wanted)


class Server(uvicorn.Server):
    """A server in a thread of this process; `url` says where."""

    @classmethod
    @contextmanager
    def serving(cls, app: object, **options: object) -> Iterator[int]:
        server = cls(uvicorn.Config(app, port=0, log_level="warning", **options))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        wait_for(lambda: server.started, "the server does not start")
        yield server.servers[0].sockets[0].getsockname()[1]
        server.should_exit = True
        thread.join(PATIENCE_S)


def wait_for(done, why: str) -> None:
    """Wait until something that another process does is done."""
    until = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < until, why
        time.sleep(0.02)  # another process: its clock is the real one


@contextmanager
def service(config: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `psp login serve` and give its process and address."""
    command = [sys.executable, "-m", "peerstream.node.cli", "login", "serve", str(config), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        yield process, json.loads(line)["url"]
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        process.stdout.close()
