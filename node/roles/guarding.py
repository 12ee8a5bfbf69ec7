"""The guards of a node: kept on disk, passed over while out of reach, seldom more (SPEC 6.8, 10.6).

Guards and vanguards are few so that few relays ever see us. When none of them is up while other
relays are, one more is drawn and stays: a catastrophe must not silence us for months, and whoever
can block relays must not walk us through all of them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from peerstream.node.config import NetworkParameters
from peerstream.node.ports import Environment, GuardStore, UnreachableError
from peerstream.node.protocol.circuit.errors import NeighbourSilentError
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.directory.errors import (
    DirectoryIncompleteError,
    NoGuardReachableError,
)
from peerstream.node.protocol.directory.guards import (
    LEVEL_ANONYMOUS,
    LEVEL_PRIVATE,
    GuardState,
    extend_guards,
    extend_vanguards,
    refresh,
)
from peerstream.node.roles.hearsay import Hearsay
from peerstream.node.roles.neighbours import Neighbours

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

GUARD_RETRY_S: Final = 30.0
SILENT_GUARD_S: Final = 10.0
BROKEN_GUARD_S: Final = 1.0
LOST_S: Final = 0.5  # without any guard, or any vanguard, before one more is drawn
LOOK_S: Final = 0.25
PROBE_S: Final = 0.5  # for each guard that is tried once more before another one is drawn
WAIT_S: Final = 5.0  # for another guard, for whoever has none
_VANGUARDS: Final = 0  # beside the levels, in what is lost


@dataclass(frozen=True, slots=True)
class _Loss:
    """Since when none of a level can be reached, when to draw one more, and the pause after it."""

    since: float
    draw_at: float
    pause_s: float

    def drawn(self, now: float) -> "_Loss":
        """Return it for the next time: each comes twice as late."""
        return _Loss(self.since, now + self.pause_s, min(2 * self.pause_s, GUARD_RETRY_S))


async def _see_nothing() -> None:
    """Stand in for a look at the network where nobody lent one."""


class Guarding:
    """Guards and vanguards. `look_around` asks some relays for something, to see if any answers."""

    def __init__(
        self,
        environment: Environment,
        network: NetworkParameters,
        neighbours: Neighbours,
        store: GuardStore,
    ) -> None:
        self.look_around: Callable[[], Awaitable[None]] = _see_nothing
        self.hearsay = Hearsay()
        self._environment = environment
        self._network = network
        self._neighbours = neighbours
        self._directory = neighbours.directory
        self._store = store
        self._state = store.load_guards()
        self._unreachable: dict[bytes, float] = {}
        self._lost: dict[int, _Loss] = {}  # of which level none can be reached
        self._settled = trio.Event()
        neighbours.closed.append(self.pass_over)

    @property
    def state(self) -> GuardState:
        """Who they are."""
        return self._state

    def refresh(self) -> None:
        """Fill the places of those whose time is over; on disk before any of them is used."""
        wall = self._environment.clock.wall()
        state = refresh(
            self._state,
            self._directory.guard_candidates(wall),
            self._network.guard_rules,
            members=len(self._directory.view(wall)),
            wall=wall,
            entropy=self._environment.entropy,
        )
        self._keep(state)

    def _keep(self, state: GuardState) -> None:
        if state != self._state:
            self._state = state
            self._store.save_guards(state)

    def unreachable(self) -> frozenset[bytes]:
        """Guards to be passed over now."""
        now = self._environment.clock.now()
        self._unreachable = {k: until for k, until in self._unreachable.items() if until > now}
        return frozenset(self._unreachable)

    def said_dead(self, level: int) -> frozenset[bytes]:
        """Relays that others could not reach. Of our guards of a level we know better."""
        return self._said() - self._state.ids(level)

    def _said(self) -> frozenset[bytes]:
        return self.hearsay.relays(self._environment.clock.now())

    def pass_over(self, link: Link) -> None:
        """Pass over the guard of a broken link: a silent one would be dialled and say nothing."""
        if link.peer is not None:
            is_silent = isinstance(link.failure, NeighbourSilentError)
            self._pass_over(link.peer, SILENT_GUARD_S if is_silent else BROKEN_GUARD_S)

    def _pass_over(self, guard: bytes, seconds: float) -> None:
        self._unreachable[guard] = self._environment.clock.now() + seconds

    async def dial(self, guard: bytes, patience_s: float) -> Link | None:
        """Return the link to a guard, padded; None if it is to be passed over."""
        try:
            with trio.fail_after(patience_s):
                link = await self._neighbours.dial(guard)
        except UnreachableError:
            self._pass_over(guard, GUARD_RETRY_S)
            return None
        except trio.TooSlowError:
            self._pass_over(guard, SILENT_GUARD_S)
            return None
        if link.closed:
            self.pass_over(link)
            return None
        self._keep(self._state.in_use(guard))
        self._unreachable.pop(guard, None)
        self._found(guard)
        self._neighbours.pad(link)
        return link

    async def another(self, level: int) -> bool:
        """Wait until guards were tried once more, for a few seconds; whether one may be up now."""
        with trio.move_on_after(WAIT_S):
            await self._settled.wait()
        return not self._state.ids(level) <= self.unreachable()

    # None is left

    def lost(self, level: int) -> None:
        """Note that none of a level can be reached."""
        now = self._environment.clock.now()
        self._lost.setdefault(level, _Loss(now, now + LOST_S, 2 * LOST_S))

    def lacks_vanguards(self) -> bool:
        """Whether the hop before them says of all vanguards that none is up; notes that, too."""
        lacking = self._lacks_vanguards()
        if lacking:
            self.lost(_VANGUARDS)
        else:
            self._lost.pop(_VANGUARDS, None)
        return lacking

    def _lacks_vanguards(self) -> bool:
        dead = self._said()
        ours = self._state.vanguard_ids()
        if dead.isdisjoint(ours):
            return False
        try:
            candidates = self._directory.candidates(self._environment.clock.wall())
            guard = candidates[self._state.guard(LEVEL_ANONYMOUS, self.unreachable())]
        except (DirectoryIncompleteError, NoGuardReachableError, KeyError):
            return False
        near = [candidates[key] for key in ours if key in candidates]
        return {each.relay_id for each in near if not each.conflicts([guard])} <= dead

    def _settle(self) -> None:
        """Let those go on who wait for a guard."""
        settled, self._settled = self._settled, trio.Event()
        settled.set()

    def _found(self, guard: bytes) -> None:
        for level in (LEVEL_PRIVATE, LEVEL_ANONYMOUS):
            if guard in self._state.ids(level):
                self._lost.pop(level, None)

    async def run(self) -> None:
        """Draw one more where none is up, until cancelled."""
        while True:
            await trio.sleep(LOOK_S)
            self.lacks_vanguards()
            for level, loss in list(self._lost.items()):
                if self._environment.clock.now() >= loss.draw_at:
                    await self._make_good(level, loss)

    async def _make_good(self, level: int, loss: "_Loss") -> None:
        """Draw one more of a level, if it is not the network that is gone, or we are.

        What we could not reach while that was so, we may reach now.
        """
        await self.look_around()
        if self._neighbours.answered_at >= loss.since and not await self._reaches(level):
            self._extend(level)
        if level in self._lost:
            self._lost[level] = loss.drawn(self._environment.clock.now())
        self._settle()

    async def _reaches(self, level: int) -> bool:
        """Try the guards of a level once more; whether one of them is up."""
        if level == _VANGUARDS:
            return False  # every circuit that is opened meanwhile tries them
        terms = self._state.live_guards if level == LEVEL_PRIVATE else self._state.guards
        for term in terms:
            if await self.dial(term.relay_id, PROBE_S) is not None:
                return True
        return False

    def _extend(self, level: int) -> None:
        wall, entropy = self._environment.clock.wall(), self._environment.entropy
        rules = self._network.guard_rules
        try:
            relays = self._directory.guard_candidates(wall)
        except DirectoryIncompleteError:
            return
        dead = self.said_dead(level or LEVEL_ANONYMOUS)
        candidates = {key: relay for key, relay in relays.items() if key not in dead}
        if level == _VANGUARDS:
            self._keep(extend_vanguards(self._state, candidates, rules, wall=wall, entropy=entropy))
        else:
            state = extend_guards(self._state, level, candidates, rules, wall=wall, entropy=entropy)
            self._keep(state)
