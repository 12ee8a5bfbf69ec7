"""A PostgreSQL of its own: Debian's programs, a new cluster, a socket in a private directory."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tests.system.login.programs import PATIENCE_S, run

PROGRAMS = Path("/usr/lib/postgresql")


def _programs() -> Path:
    found = sorted(PROGRAMS.glob("*/bin"), key=lambda path: int(path.parent.name))
    assert found, "PostgreSQL is not installed: run deploy/setup-system.sh"
    return found[-1]


def _as_somebody(directory: Path) -> dict[str, object]:
    """PostgreSQL does not run as root: then it gets the user that Debian made for it."""
    if os.getuid() != 0:
        return {}
    somebody = pwd.getpwnam("postgres")
    os.chown(directory, somebody.pw_uid, somebody.pw_gid)
    return {"user": somebody.pw_uid, "group": somebody.pw_gid, "extra_groups": []}


@contextmanager
def cluster(directory: Path) -> Iterator[str]:
    """Run a cluster in an empty directory, deleted at the end; gives its URL."""
    programs, data = _programs(), directory / "data"
    user = _as_somebody(directory)
    run(programs / "initdb", "-D", data, "-U", "login", "-A", "trust", "--no-sync",
        "-E", "UTF8", "--locale=C.UTF-8", cwd=directory, **user)  # fmt: skip
    options = {"listen_addresses": "", "unix_socket_directories": str(directory), "fsync": "off",
               "max_connections": "200", "log_min_messages": "fatal"}  # fmt: skip
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    server = subprocess.Popen(
        [programs / "postgres", "-D", data, *words],
        cwd=directory,
        stderr=subprocess.DEVNULL,
        **user,
    )
    try:
        ready = (programs / "pg_isready", "-h", directory, "-t", str(int(PATIENCE_S)))
        for _ in range(int(PATIENCE_S)):
            if subprocess.run([*map(str, ready), "-q"], check=False).returncode == 0:
                break
            assert server.poll() is None, "PostgreSQL ended"
        yield f"postgresql+psycopg://login@/postgres?host={quote(str(directory))}"
    finally:
        server.send_signal(signal.SIGINT)  # SIGTERM would wait for whoever is connected
        server.wait(PATIENCE_S)
        shutil.rmtree(directory, ignore_errors=True)


def new_database(url: str, name: str) -> str:
    """Make an empty database in the cluster and return its URL."""
    host = url.partition("host=")[2]
    run(_programs() / "createdb", "-h", host, "-U", "login", name)
    return url.replace("/postgres?", f"/{name}?")


def dump(url: str) -> str:
    """Return everything that a database holds, as pg_dump writes it."""
    host, name = url.partition("host=")[2], url.partition("@/")[2].partition("?")[0]
    return run(_programs() / "pg_dump", "-h", host, "-U", "login", "--inserts", name)
