"""Opens circuits: path, guard, SETUP, and what is learned when one fails (SPEC 10.6)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

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
from peerstream.node.roles.doubts import Doubts, ladder
from peerstream.node.roles.errors import CircuitFailedError, CommandRefusedError, NoGuardError
from peerstream.node.roles.guarding import Guarding
from peerstream.node.roles.neighbours import Neighbours
from peerstream.node.roles.racing import Race

ATTEMPTS: Final = 3
DETOURS: Final = 6
DRAWS_MAX: Final = 64  # for a last hop apart from others; misses are rare in a network worth using
STAGGERS: Final = 4  # of a path's patience, before another path is tried beside it
WAITS: Final = 3  # for a guard
RUNNERS: Final = 3  # paths at once, where it is better to try another than to wait
SAID: Final = 2  # as many doubts is the word of a hop about the next one worth
TICK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Care:
    """What a circuit must mind when relays are known or feared to be dead.

    away: relays that it shall not lead through, while there are others; if they are only feared to
    be dead, since when: circuits over them that were answered later clear them. patience_s: for one
    path; stagger_s: before another one is tried beside it.
    """

    away: frozenset[bytes] = frozenset()
    patience_s: float = math.inf
    stagger_s: float = math.inf
    since: float = math.inf

    @classmethod
    def hurry(cls, away: frozenset[bytes], patience_s: float, since: float = math.inf) -> Self:
        """Return the care of whoever has others waiting; of no hurry if patience has no end."""
        return cls(away, patience_s, patience_s / STAGGERS, since)

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
        self._doubts = Doubts()
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
        tries = _Tries(plan.attempts, plan.detours)
        if math.isinf(plan.care.stagger_s):
            return await self._open_in_turn(plan, tries)
        race = Race(lambda: self._open_in_turn(plan, tries), OwnedCircuit.close, RUNNERS)
        return await race.run(plan.care.stagger_s)

    async def _open_in_turn(self, plan: CircuitPlan, tries: "_Tries") -> OwnedCircuit:
        """Try one path after the other."""
        while True:
            path = await self._next_path(plan, tries)
            link = await self.guarding.dial(path[0], plan.care.patience_s)
            if link is None:
                continue
            try:
                return await self._open_over(link, path, plan)
            except CommandRefusedError:
                raise
            except CircuitFailedError as error:
                is_detour = error.unreached or (error.absent is not None and len(plan.named) != 1)
                if self.guarding.lacks_vanguards() and tries.wait():
                    await self.guarding.another(plan.level)
                elif not tries.another(is_detour=is_detour):
                    raise

    async def _next_path(self, plan: CircuitPlan, tries: "_Tries") -> tuple[bytes, ...]:
        """Return a path; where no guard is up, wait for one more."""
        while True:
            try:
                return self._path(plan)
            except NoGuardError:
                if not tries.wait() or not await self.guarding.another(plan.level):
                    raise

    def _path(self, plan: CircuitPlan) -> tuple[bytes, ...]:
        inputs = self._inputs()
        for away in self._to_avoid(plan.care, plan.level):
            try:
                return self._draw(plan, keep_away(inputs, away, plan.level, plan.named))
            except (NoGuardReachableError, NoSafePathError):
                continue  # in a small network there may be no others; a path through some is better
        try:
            return self._draw(plan, inputs)
        except NoGuardReachableError as error:
            self.guarding.lost(plan.level)
            raise NoGuardError(str(error)) from error

    def _to_avoid(self, care: Care, level: int) -> list[frozenset[bytes]]:
        """Return what to keep away from, if that goes; else from the next."""
        counts = self._doubts.counts(self._environment.clock.now()) if care.hurried else {}
        for relay_id in care.away - self._doubts.proved_since(care.since):
            counts[relay_id] = counts.get(relay_id, 0) + 1
        for relay_id in self.guarding.said_dead(level):
            counts[relay_id] = counts.get(relay_id, 0) + SAID
        return ladder(counts, frozenset(self.guarding.state.vanguard_ids()))

    def _draw(self, plan: CircuitPlan, inputs: PathInputs) -> tuple[bytes, ...]:
        chooser, candidates = PathChooser(inputs), inputs.candidates
        entropy = self._environment.entropy
        others = [candidates[relay_id] for relay_id in plan.apart if relay_id in candidates]
        for _ in range(DRAWS_MAX):
            path = chooser.path(plan.purpose, plan.level, entropy, plan.named)
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
            await self._answered(owned, plan.care)
        except CircuitFailedError as error:
            if error.absent is not None:
                self.guarding.hearsay.note(*error.absent, self._environment.clock.now())
            owned.close()
            raise
        except BaseException:
            owned.close()
            raise
        self.guarding.hearsay.refute(path)
        self._doubts.prove(path, self._environment.clock.now())
        return owned

    async def _answered(self, owned: OwnedCircuit, care: Care) -> None:
        """Wait for a circuit to stand; doubt its relays when that takes long."""
        now = self._environment.clock.now
        with trio.move_on_after(min(care.stagger_s, care.patience_s)):
            await owned.ready()
            return
        self._doubts.note(owned.path, now())
        try:
            with trio.fail_after(care.patience_s - min(care.stagger_s, care.patience_s)):
                await owned.ready()
        except trio.TooSlowError as error:
            raise CircuitFailedError("a path took too long", unreached=True) from error

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


class _Tries:
    """How many more paths may be tried, and detours beside them."""

    def __init__(self, attempts: int, detours: int) -> None:
        self._attempts = attempts
        self._detours = detours
        self._waits = WAITS

    def another(self, *, is_detour: bool) -> bool:
        """Count a path that failed; whether one more may follow."""
        if is_detour and self._detours > 0:
            self._detours -= 1
            return True
        self._attempts -= 1
        return self._attempts > 0

    def wait(self) -> bool:
        """Count that there was no guard; whether to wait for one."""
        self._waits -= 1
        return self._waits >= 0


def _body(plan: CircuitPlan, last_hop: bytes, binding: bytes) -> bytes:
    return plan.body(last_hop, binding) if callable(plan.body) else plan.body
