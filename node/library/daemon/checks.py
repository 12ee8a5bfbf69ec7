"""The self-test of a node, each line with what to do (SPEC 17.8)."""

import resource
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from peerstream.identity.errors import IdentityError
from peerstream.identity.network import NetworkMode
from peerstream.node.http.schemas import Check
from peerstream.node.library.node import Node, Target
from peerstream.node.ports import PortError
from peerstream.node.protocol.directory.errors import DirectoryError
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.remedies import remedy_of
from peerstream.node.roles.errors import RoleError
from peerstream.node.services.ping import PAYLOAD, SERVICE, ping_once

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SKEW_S: Final = 300
PATIENCE_S: Final = 30.0
_SOURCES: Final = {
    NetworkMode.CHAIN: "chain",
    NetworkMode.DHT: "DHT",
    NetworkMode.STATIC: "relay file",
}
_EXPECTED: Final = (
    PortError, RoleError, ProtocolError, IdentityError, DirectoryError, trio.TooSlowError,
)  # fmt: skip


async def run_checks(node: Node, state: Path, waiting: Sequence[str] = ()) -> list[Check]:
    """Test a running node: a few seconds, PATIENCE_S for each line at most.

    waiting: services that are to be exposed, and that callers cannot reach yet.
    """
    lines: list[tuple[str, Callable[[], Awaitable[Check]]]] = [
        (_SOURCES[node.parts.network.mode], lambda: _source(node)),
        ("clock", lambda: _clock(node)),
        ("relays", lambda: _relays(node)),
        ("guards", lambda: _guards(node)),
        ("own address", lambda: _own_address(node)),
        ("files", lambda: _files(state)),
        ("core dumps", _core_dumps),
    ]
    found = []
    for name, check in lines:
        try:
            with trio.fail_after(PATIENCE_S):
                found.append(await check())
        except _EXPECTED as error:
            found.append(_bad(name, type(error).__name__, remedy_of(error)))
    return [*found, *_services(waiting)]


def _good(name: str, found: str) -> Check:
    return Check(name=name, ok=True, found=found, fix="")


def _bad(name: str, found: str, fix: str) -> Check:
    return Check(name=name, ok=False, found=found, fix=fix)


async def _source(node: Node) -> Check:
    name = _SOURCES[node.parts.network.mode]
    await node.parts.keeper.read()
    return _good(name, f"read, {node.parts.keeper.relays} relays")


async def _clock(node: Node) -> Check:
    """Compare with what relays signed: they publish each epoch, by their own clocks."""
    wall, directory = node.parts.environment.clock.wall(), node.parts.keeper.directory
    ahead = directory.newest_record - wall
    if ahead > SKEW_S:
        return _bad(
            "clock", f"at least {ahead} s behind", "set the clock: `timedatectl set-ntp on`"
        )
    if not directory.usable(wall):
        fix = "if the network is well, the clock is ahead: `timedatectl set-ntp on`"
        return _bad("clock", "no relay published for this time", fix)
    return _good("clock", "agrees with what relays signed")


async def _relays(node: Node) -> Check:
    keeper, wall = node.parts.keeper, node.parts.environment.clock.wall()
    if keeper.directory.complete(wall):
        return _good("relays", f"all {keeper.relays} are known with keys and addresses")
    if keeper.directory.usable(wall):
        return _good("relays", f"enough of {keeper.relays} are known")
    return _bad("relays", "too few are known", "is this the right --network file? Try again soon")


async def _guards(node: Node) -> Check:
    """Have a link to a guard, as every circuit needs."""
    terms = node.parts.circuits.guards.guards
    for number, term in enumerate(terms, 1):
        try:
            await node.parts.neighbours.dial(term.relay_id)
        except PortError:
            continue
        return _good("guards", f"guard {number} of {len(terms)} answers")
    return _bad(
        "guards", f"none of {len(terms)} answers", "let the firewall pass outgoing TCP; try again"
    )


async def _own_address(node: Node) -> Check:
    """Dial ourselves through the network and back."""
    if node.identity is None:
        return _good("own address", "no identity: nothing to reach")
    if SERVICE not in node.services:
        return _good("own address", "nothing is exposed")
    clock = node.parts.environment.clock
    started = clock.now()
    stream = await node.connect(Target.of_card(node.identity.card), SERVICE, isolation=b"doctor")
    try:
        dialled = clock.now() - started
        there = await ping_once(stream, node.parts.environment.entropy(PAYLOAD), clock.now)
    finally:
        await stream.aclose()
    text = f"answers over {stream.peer.hops} hops: dialled in {dialled * 1e3:.0f} ms"
    return _good("own address", f"{text}, there and back in {there * 1e3:.1f} ms")


def _services(waiting: Sequence[str]) -> list[Check]:
    """Name what is not published; a line only where there is something."""
    if not waiting:
        return []
    text = f"callers cannot reach {', '.join(waiting[:4])} yet"
    return [_bad("services", text, "it is tried again until it works; see the lines above")]


async def _files(state: Path) -> Check:
    return await trio.to_thread.run_sync(_look_at_files, state)


def _look_at_files(state: Path) -> Check:
    """Whether others may read or change what is in the state directory."""
    open_to_others = [path.name for path in (state, *state.iterdir()) if _is_open(path)]
    if open_to_others:
        text = f"others may read {', '.join(sorted(open_to_others)[:4])}"
        return _bad("files", text, f"chmod -R go= {state}")
    return _good("files", f"{state} is yours alone")


def _is_open(path: Path) -> bool:
    """Whether others may use it; not when it is gone, as a file is that was half written."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    return not stat.S_ISLNK(mode) and bool(stat.S_IMODE(mode) & 0o077)


async def _core_dumps() -> Check:
    if resource.getrlimit(resource.RLIMIT_CORE)[0] == 0:
        return _good("core dumps", "off")
    return _bad("core dumps", "on: a crash writes keys to the disk", "run with `ulimit -c 0`")
