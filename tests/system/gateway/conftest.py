"""One private network for all tests here, with a callee's services and a caller's daemon on it."""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from peerstream.node.store import run_folder
from tests.system.gateway import servers
from tests.system.gateway.servers import PATIENCE_S, run
from tests.system.login import postgres

PSP = [sys.executable, "-m", "peerstream.node.cli"]
WATCHED = [sys.executable, str(Path(__file__).parent / "watched_psp.py")]
MEGABYTE = 1_000_000


def json_of(done: subprocess.CompletedProcess[str]) -> dict:
    return json.loads(done.stdout.splitlines()[-1])


@dataclass
class Network:
    """A network that runs, as the environment of commands.

    relays: process ids by relay_id. places: the relays and the chain, as (host, port).
    """

    home: Path
    environment: dict[str, str]
    relays: dict[str, int]
    places: set[tuple[str, int]]

    def psp(self, *words: object) -> subprocess.CompletedProcess[str]:
        return run([*PSP, *words], env=self.environment)

    def make_identity(self, name: str) -> str:
        """Make a listed identity, and return its address."""
        key = self.home / f"{name}.key"
        key.write_text(secrets.token_hex(32))
        key.chmod(0o600)
        words = ["id", "new", "--listed", "--wallet-key", key, "--state", self.home / name]
        return json_of(self.psp(*words, "--json"))["account"]

    @contextmanager
    def going(
        self, *words: object, program: list[str] = PSP
    ) -> Iterator[tuple[dict, subprocess.Popen[str]]]:
        """Run a command that goes on; gives the object that it prints when it is ready."""
        command = [*program, *map(str, words), "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self.environment)
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline()), process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)
            process.stdout.close()


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="psp-gw-")))
        (home / "tmp").mkdir()
        names = ("PSP_STATE", "PSP_RELAY_FILE", "PSP_CONFIG")
        kept = {name: value for name, value in os.environ.items() if name not in names}
        state = {"XDG_STATE_HOME": str(home / "state"), "TMPDIR": str(home / "tmp")}
        environment = kept | state | {"HOME": str(home)}
        made = Network(home, environment, {}, set())
        found = json_of(made.psp("devnet", "up", "--relays", 12, "--json"))
        stack.callback(made.psp, "devnet", "down")
        made.relays |= {relay["relay_id"]: relay["pid"] for relay in found["relays"]}
        for relay in found["relays"]:
            _, _, host, _, port, *_ = relay["multiaddr"].split("/")
            made.places.add((host, int(port)))
        chain = urlsplit(found["rpc_url"])
        made.places.add((chain.hostname, chain.port))
        environment["PSP_NETWORK"] = found["network_file"]
        yield made


@dataclass
class Callee:
    """Who is called: its address, and what its servers have."""

    address: str
    files: Path
    rsync: Path
    ssh: Path

    @property
    def host(self) -> str:
        return f"{self.address}.psp.alt"


@pytest.fixture(scope="session")
def callee(network: Network) -> Iterator[Callee]:
    address = network.make_identity("alice")
    places = {name: network.home / name for name in ("www", "rsyncd", "sshd")}
    for place in places.values():
        place.mkdir(mode=0o700)
    with ExitStack() as stack:
        database = Path(tempfile.mkdtemp(prefix="psp-pg-"))
        stack.enter_context(postgres.cluster(database))
        ports = {
            "web": stack.enter_context(servers.web(places["www"])),
            "ssh": stack.enter_context(servers.ssh(places["sshd"])),
            "873": stack.enter_context(servers.rsync(places["rsyncd"])),
            "echo": stack.enter_context(servers.echo()),
            "nobody": servers.free_port(),
        }
        exposed = [f"{name}=127.0.0.1:{port}" for name, port in ports.items()]
        exposed += [f"5432=unix:{database}/.s.PGSQL.5432"]
        exposed += [f"53=udp:127.0.0.1:{stack.enter_context(servers.dns())}"]
        words = ["expose", *exposed, "--allow", "anyone", "--state", network.home / "alice"]
        stack.enter_context(network.going(*words))
        yield Callee(address, places["www"], places["rsyncd"] / "files", places["sshd"])


@dataclass
class Caller:
    """A daemon with a front, and what it connected to.

    programs: where programs of datagrams asked it from, and so were answered, as (host, port).
    """

    address: str
    port: int
    pid: int
    state: Path
    record: Path
    programs: set[tuple[str, int]] = field(default_factory=set)

    def reached(self) -> set[str]:
        """Return each event that led out of the daemon, as `watched_psp` writes it."""
        return set(self.record.read_text().splitlines())

    def circuits(self) -> dict:
        folder = self.state / run_folder.RUN / run_folder.API_SOCKET
        done = run(["curl", "-sS", "--unix-socket", folder, "http://localhost/v1/circuits"])
        return json.loads(done.stdout)

    def memory(self) -> int:
        """Return its resident memory, in bytes."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="session")
def caller(network: Network, callee: Callee) -> Iterator[Caller]:
    address = network.make_identity("bob")
    state, record = network.home / "bob", network.home / "reached"
    listens = ["--socks", "127.0.0.1:0", "--gateway", "off"]
    words = [record, "up", *listens, "--state", state]
    with network.going(*words, program=WATCHED) as (found, process):
        port = int(found["listeners"]["socks"].rpartition(":")[2])
        yield Caller(address, port, process.pid, state, record)
