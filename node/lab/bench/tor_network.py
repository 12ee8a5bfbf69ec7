"""A private Tor network on 127.0.0.1: authorities, relays, a client, onion services.

A stream goes client, guard, vanguard, rendezvous point, middle, vanguard, guard, service: six
relays between two hidden sides, as with us.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from peerstream.node.lab.bench.applications import dial
from peerstream.node.lab.bench.errors import TorMissingError, TorStartError
from peerstream.node.lab.bench.socks import PORT, Place
from peerstream.node.lab.bench.subject import Subject
from peerstream.node.lab.bench.tor_config import (
    FIRST_VOTE_S,
    PORTS_OF_A_NODE,
    Profile,
    TorNode,
    authority_part,
    client_part,
    common_part,
    relay_part,
    service_part,
)
from peerstream.node.lab.bench.tor_control import wait_for_uploads
from peerstream.node.lab.bench.tor_program import TOR
from peerstream.node.lab.processes import LabProcess, LabProcesses

AUTHORITIES: Final = 3
RELAYS: Final = 12  # with the authorities, which relay as well: as many as ours
NODES: Final = RELAYS + 2
START_S: Final = 120.0
DIAL_S: Final = 30.0
ATTEMPTS: Final = 3
_POLL_S: Final = 0.2
_GENCERT: Final = "tor-gencert"
_PROGRAM: Final = "peerstream.node.lab.bench.tor_program:run"
_CONSENSUS: Final = "cached-microdesc-consensus"


@dataclass(frozen=True, slots=True)
class TorOptions:
    """What to start. fresh: onion services for dials that were never made before.

    directory: an empty one of mode 0700. ports: PORTS_OF_A_NODE free ones for each of NODES nodes.
    target: the local port that every service leads to.
    """

    profile: Profile
    directory: Path
    ports: Sequence[int]
    target: int
    fresh: int


async def tor_version() -> str:
    """Return the version of the Tor that is installed. Raises TorMissingError."""
    answer = await _run([TOR, "--version"])
    return answer.splitlines()[0].removeprefix("Tor version ").rstrip(".")


async def start_tor(processes: LabProcesses, options: TorOptions) -> Subject:
    """Start a Tor network; its processes are forked by `processes` and end with them.

    Raises TorMissingError, TorStartError.
    """
    version = await tor_version()
    began = trio.current_time()
    network = await _start_one(processes, options)
    host, *fresh = network.hosts
    return Subject(
        name="tor",
        profile=options.profile,
        version=version,
        front=network.client.socks_port,
        host=host,
        fresh=fresh,
        roles=network.roles(),
        ready_s=trio.current_time() - began,
    )


async def _start_one(processes: LabProcesses, options: TorOptions) -> "_Network":
    """Start a network through which a dial works.

    On a busy machine authorities miss the first vote, and clients then hold a consensus by which
    nearly all circuits fail; that does not heal within minutes, but another start does.
    """
    for attempt in range(ATTEMPTS):
        directory = options.directory / str(attempt)
        directory.mkdir(mode=0o700)
        network = _Network(processes, options, directory)
        with trio.move_on_after(START_S):
            await network.start()
            if await network.answers():
                return network
        network.end()
    raise TorStartError(f"{ATTEMPTS} networks let no dial through")


class _Network:
    def __init__(self, processes: LabProcesses, options: TorOptions, directory: Path) -> None:
        self._processes = processes
        self._options = options
        self._directory = directory
        self._forked: dict[str, LabProcess] = {}
        names = [f"auth{index}" for index in range(AUTHORITIES)]
        names += [f"relay{index}" for index in range(RELAYS - AUTHORITIES)]
        nodes = [self._node(number, name) for number, name in enumerate([*names, "client", "hs"])]
        self.client, self.service = nodes[-2:]
        self._authorities, self._relays = nodes[:AUTHORITIES], nodes[AUTHORITIES:-2]
        self.hosts: list[str] = []

    def _node(self, number: int, name: str) -> TorNode:
        directory = self._directory / name
        directory.mkdir(mode=0o700)
        (directory / "keys").mkdir(mode=0o700)
        (directory / "services").mkdir(mode=0o700)
        start = number * PORTS_OF_A_NODE
        return TorNode(name, directory, *self._options.ports[start : start + PORTS_OF_A_NODE])

    async def start(self) -> None:
        """Start all nodes; return when the client knows all relays and the services are out."""
        lines = [await _make_authority(node) for node in self._authorities]
        # Begin early between two votes, so that the first one sees all relays.
        await trio.sleep(FIRST_VOTE_S - time.time() % FIRST_VOTE_S)

        def common(node: TorNode) -> str:
            return common_part(node, self._options.profile, lines)

        for node in self._authorities:
            await self._fork(node, common(node) + relay_part(node) + authority_part(node))
        for node in self._relays:
            await self._fork(node, common(node) + relay_part(node))
        await self._fork(self.client, common(self.client) + client_part(self.client))
        await self._publish(common(self.service))
        await self._consensus()

    async def _publish(self, common: str) -> None:
        """Start the callee and wait until all its services are published."""
        number = 1 + self._options.fresh
        part = service_part(self.service, number, PORT, self._options.target)
        await self._fork(self.service, common + part)
        self.hosts = [await self._host(index) for index in range(number)]
        names = [host.removesuffix(".onion") for host in self.hosts]
        await wait_for_uploads(self.service.control_port, names)

    async def _host(self, index: int) -> str:
        path = trio.Path(self.service.service_directories / str(index) / "hostname")
        while True:
            if await path.exists() and (found := (await path.read_text()).strip()):
                return found
            await trio.sleep(_POLL_S)

    async def _consensus(self) -> None:
        """Wait until the client's consensus lists all relays."""
        path = trio.Path(self.client.directory / _CONSENSUS)
        while True:
            if await path.exists() and await _relays_in(path) == RELAYS:
                return
            await trio.sleep(_POLL_S)

    async def _fork(self, node: TorNode, config: str) -> None:
        path = node.directory / "torrc"
        path.write_text(config)
        name = f"tor-{self._options.profile}-{self._directory.name}-{node.name}"
        self._forked[node.name] = await self._processes.fork(name, _PROGRAM, {"file": str(path)})

    async def answers(self) -> bool:
        """Whether a dial works soon."""
        place = Place(self.client.socks_port, self.hosts[0], "first")
        with trio.move_on_after(DIAL_S):
            while True:
                try:
                    stream, _ = await trio.to_thread.run_sync(dial, place, abandon_on_cancel=True)
                except OSError:
                    await trio.sleep(_POLL_S)
                else:
                    stream.close()
                    return True
        return False

    def end(self) -> None:
        """Have its processes end; whoever forked them sees to that they do."""
        for process in self._forked.values():
            os.kill(process.pid, signal.SIGTERM)

    def roles(self) -> dict[str, list[int]]:
        """Return the processes by role."""
        caller, callee = (self._forked[node.name].pid for node in (self.client, self.service))
        relays = [self._forked[node.name].pid for node in (*self._authorities, *self._relays)]
        return {"relay": relays, "caller": [caller], "callee": [callee]}


async def _relays_in(consensus: trio.Path) -> int:
    return len(re.findall(r"^r ", await consensus.read_text(), re.MULTILINE))


async def _make_authority(node: TorNode) -> str:
    """Make the keys of an authority; return its DirAuthority line."""
    keys = node.directory / "keys"
    certificate = keys / "authority_certificate"
    at = f"127.0.0.1:{node.directory_port}"
    words = [_GENCERT, "--create-identity-key", "--passphrase-fd", "0", "-m", "12", "-a", at]
    words += ["-i", f"{keys}/authority_identity_key", "-s", f"{keys}/authority_signing_key"]
    await _run([*words, "-c", str(certificate)], b"bench\n")
    found = re.search(r"^fingerprint (\w+)", certificate.read_text(), re.MULTILINE)
    words = [TOR, "--ignore-missing-torrc", "-f", f"{node.directory}/none", "--quiet"]
    words += ["--defaults-torrc", "/dev/null", "--list-fingerprint", "--Address", "127.0.0.1"]
    words += ["--DataDirectory", str(node.directory), "--Nickname", node.name]
    words += ["--ORPort", f"127.0.0.1:{node.or_port}", "--DirAuthority", f"x {at} {'0' * 40}"]
    answer = (await _run(words)).split()
    if found is None or node.name not in answer:
        raise TorStartError(f"{_GENCERT} and {TOR} made no keys for {node.name}")
    fingerprint = "".join(answer[answer.index(node.name) + 1 :])
    ports = f"orport={node.or_port} no-v2 v3ident={found[1]}"
    return f"DirAuthority {node.name} {ports} {at} {fingerprint}"


async def _run(words: Sequence[str], given: bytes = b"") -> str:
    """Run a program of Tor's and return what it says. Raises TorMissingError, TorStartError."""
    try:
        ended = await trio.run_process(words, stdin=given, capture_stdout=True, capture_stderr=True)
    except FileNotFoundError as error:
        raise TorMissingError(f"there is no {words[0]}") from error
    except subprocess.CalledProcessError as error:
        raise TorStartError(f"{words[0]} ended with {error.returncode}") from error
    return ended.stdout.decode(errors="replace")
