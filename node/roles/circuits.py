"""Opens circuits: path, guard, SETUP, and what is learned when one fails (SPEC 10.6)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import trio

from peerstream.node.config import NetworkParameters
from peerstream.node.ports import Environment, GuardStore
from peerstream.node.protocol.circuit.bodies import encode_payload
from peerstream.node.protocol.circuit.errors import LinkFullError
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.circuit.origin import OriginCircuit
from peerstream.node.protocol.directory.errors import (
    NoDescriptorError,
    NoGuardReachableError,
    NoSafePathError,
)
from peerstream.node.protocol.directory.guards import GuardState
from peerstream.node.protocol.directory.paths import (
    PathChooser,
    PathInputs,
    Purpose,
    keep_away,
)
from peerstream.node.protocol.wire.command import Command
from peerstream.node.roles.circuit import OwnedCircuit
from peerstream.node.roles.errors import CircuitFailedError, CommandRefusedError, NoGuardError
from peerstream.node.roles.guarding import Guarding
from peerstream.node.roles.neighbours import Neighbours

ATTEMPTS: Final = 3
DETOURS: Final = 6
DRAWS_MAX: Final = 64  # for a last hop apart from others; misses are rare in a network worth using
SLOW_S: Final = 10.0
TICK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Care:
    """What a circuit must mind when relays are known or feared to be dead.

    away: relays that it shall not lead through, while there are others. patience_s: for one path.
    """

    away: frozenset[bytes] = frozenset()
    patience_s: float = math.inf

    @property
    def hurried(self) -> bool:
        """Whether it is better to try another path than to wait for one."""
        return self.patience_s < math.inf


NO_CARE: Final = Care()


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitPlan:
    """A circuit to open: what for, and what its last hop is to do.

    `body`: of the command, or a function of the last hop's relay_id and the circuit's binding (32 B
    each) that makes it. `named`: relays it may end at (see `PathChooser.path`). `apart`: relays
    whose operators the last hop may not share, for own choices. `attempts`: paths to try where
    the fault may be the last hop's; `detours`: more of them, where it was one before it.
    """

    purpose: Purpose
    level: int
    command: Command
    body: bytes | Callable[[bytes, bytes], bytes] = b""
    named: Sequence[bytes] = ()
    apart: Sequence[bytes] = ()
    cell_class: int = 2
    real_time: bool = False
    attempts: int = ATTEMPTS
    detours: int = DETOURS
    care: Care = NO_CARE


class Circuits:
    """All circuits that this node owns."""

    def __init__(
        self,
        environment: Environment,
        network: NetworkParameters,
        neighbours: Neighbours,
        store: GuardStore,
    ) -> None:
        self._environment = environment
        self._network = network
        self._neighbours = neighbours
        self._directory = neighbours.directory
        self.guarding = Guarding(environment, network, neighbours, store)
        self._slow: dict[bytes, float] = {}  # behind guards, on paths that were waited for in vain
        self._open: set[OwnedCircuit] = set()

    @property
    def count(self) -> int:
        """How many circuits stand or are being opened."""
        return len(self._open)

    @property
    def guards(self) -> GuardState:
        """The long-lived choices of this node: for its owner's eyes alone."""
        return self.guarding.state

    def refresh_guards(self) -> None:
        """Fill the places of guards whose time is over; on disk before any of them is used.

        Call it when the relay set changed, and once the directory is usable.
        """
        self.guarding.refresh()

    def _inputs(self) -> PathInputs:
        for owned in self._open:
            if owned.port.link.closed:  # whoever waited on it may be here before `closed` is told
                self.guarding.pass_over(owned.port.link)
        wall = self._environment.clock.wall()
        self._directory.require_usable(wall)
        return PathInputs(
            self._directory.candidates(wall), self.guarding.state, self.guarding.unreachable()
        )

    async def open(self, plan: CircuitPlan) -> OwnedCircuit:
        """Open a circuit; the last hop's answer is in `ready()`, which returns at once.

        A path that fails is replaced by another while there are attempts, a guard that cannot be
        reached by its backup. Raises CommandRefusedError when the last hop refused, NoGuardError,
        NoSafePathError, DirectoryIncompleteError, else CircuitFailedError.
        """
        attempts, detours = plan.attempts, plan.detours
        while True:
            path = self._path(plan)
            link = await self.guarding.dial(path[0], plan.care.patience_s)
            if link is None:
                continue
            try:
                return await self._open_over(link, path, plan)
            except CommandRefusedError:
                raise
            except CircuitFailedError as error:
                if detours and (error.unreached or (error.absent and len(plan.named) != 1)):
                    detours -= 1
                    continue
                attempts -= 1
                if attempts <= 0:
                    raise

    def _path(self, plan: CircuitPlan) -> tuple[bytes, ...]:
        inputs = self._inputs()
        for away in self._to_avoid(plan.care):
            try:
                return self._draw(plan, keep_away(inputs, away, plan.level, plan.named))
            except (NoGuardError, NoSafePathError):
                continue  # in a small network there may be no others; a path through some is better
        return self._draw(plan, inputs)

    def _to_avoid(self, care: Care) -> list[frozenset[bytes]]:
        """Return what to keep away from, if that goes; else from the next."""
        now = self._environment.clock.now()
        self._slow = {relay_id: until for relay_id, until in self._slow.items() if until > now}
        said = care.away | self.guarding.said_dead()
        wider = said.union(self._slow) if care.hurried else said
        return [away for away in dict.fromkeys((wider, said, care.away)) if away]

    def _draw(self, plan: CircuitPlan, inputs: PathInputs) -> tuple[bytes, ...]:
        chooser, candidates = PathChooser(inputs), inputs.candidates
        entropy = self._environment.entropy
        others = [candidates[relay_id] for relay_id in plan.apart if relay_id in candidates]
        for _ in range(DRAWS_MAX):
            try:
                path = chooser.path(plan.purpose, plan.level, entropy, plan.named)
            except NoGuardReachableError as error:
                self.guarding.lost(plan.level)
                raise NoGuardError(str(error)) from error
            if not others or not candidates[path[-1]].conflicts(others):
                return path
        raise NoSafePathError(f"no relay is apart from {len(others)} others")

    async def _open_over(
        self, link: Link, path: tuple[bytes, ...], plan: CircuitPlan
    ) -> OwnedCircuit:
        owned = OwnedCircuit(path)
        try:
            self._send_setup(link, owned, plan)
        except (LinkFullError, NoDescriptorError) as error:
            raise CircuitFailedError(str(error)) from error
        self._open.add(owned)
        self._neighbours.links.wake()
        try:
            with trio.fail_after(plan.care.patience_s):
                await owned.ready()
        except trio.TooSlowError as error:
            owned.close()
            self._slow |= dict.fromkeys(path[1:], self._environment.clock.now() + SLOW_S)
            raise CircuitFailedError("a path took too long", unreached=True) from error
        except CircuitFailedError as error:
            if error.absent is not None:
                self.guarding.hearsay.note(*error.absent, self._environment.clock.now())
            owned.close()
            raise
        except BaseException:
            owned.close()
            raise
        self.guarding.hearsay.refute(path)
        return owned

    def _send_setup(self, link: Link, owned: OwnedCircuit, plan: CircuitPlan) -> None:
        clock = self._environment.clock
        wall = clock.wall()
        hops = [self._directory.hop(relay_id, wall) for relay_id in owned.path]
        circuit = OriginCircuit(
            link, hops, owner=owned, cell_class=plan.cell_class, real_time=plan.real_time
        )
        owned.attach(circuit)
        circuit.open(
            lambda binding: encode_payload(plan.command, _body(plan, owned.path[-1], binding)),
            bucket=self._network.bucket(wall),
            entropy=self._environment.entropy,
            now=clock.now(),
        )

    async def run(self) -> None:
        """Time out what is silent and keep alive what waits, look after guards, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.guarding.run)
            nursery.start_soon(self._tick)

    async def _tick(self) -> None:
        while True:
            await trio.sleep(TICK_S)
            now = self._environment.clock.now()
            for owned in list(self._open):
                if owned.ended:
                    self._open.discard(owned)
                else:
                    owned.port.tick(now)
            self._neighbours.links.wake()


def _body(plan: CircuitPlan, last_hop: bytes, binding: bytes) -> bytes:
    return plan.body(last_hop, binding) if callable(plan.body) else plan.body
