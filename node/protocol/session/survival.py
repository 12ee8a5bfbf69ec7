"""What keeps a session going when its paths break or fall silent (SPEC 5.8, 5.9)."""

from peerstream.node.protocol.session.caller import ResumeSession
from peerstream.node.protocol.session.congestion import ROUND_TRIP_GUESS
from peerstream.node.protocol.session.core import SessionCore
from peerstream.node.protocol.session.limits import SessionTerms
from peerstream.node.protocol.session.multipath import Need, in_order, sound
from peerstream.node.protocol.session.path import Path
from peerstream.node.protocol.session.paths import Role
from peerstream.node.protocol.session.schedule import SessionSecrets
from peerstream.node.protocol.session.state import State

PATHS_WANTED = 2  # one that carries, one that stands by
STANDBY_LEVEL = 2  # at level 1 only the callee chooses where its guard is seen: no offers there
_NEVER = float("inf")


class SessionSurvival(SessionCore):
    """Which path carries, what the paths need, and by what a new handshake knows the session."""

    def __init__(
        self, role: Role, secrets: SessionSecrets, terms: SessionTerms, *, now: float
    ) -> None:
        super().__init__(role, secrets, terms, now=now)
        self.round_trip = ROUND_TRIP_GUESS  # seconds, of the path that carried last
        self._carrying: int | None = None
        self._thin_since: float | None = now  # no path stands by; None while one does

    @property
    def carrying(self) -> int | None:
        """The path that carries data now; None when there is none."""
        order = self._in_order()
        return order[0].number if order else None

    def _in_order(self) -> list[Path]:
        return in_order(self._paths.alive, self._carrying)

    @property
    def resume_key(self) -> bytes:
        """Callee: the secret by which a new handshake proves that it is for this session."""
        return self._resume_key

    def held_key(self, session_id: bytes) -> bytes | None:
        """Callee: the resume key by an id, 16 B, under which the caller may know this session.

        Until a cell came under the newest one, the answer to the caller may have been lost: then
        it calls again by the id of before. None for other ids.
        """
        held = {self.session_id: self._resume_key}
        if not self._settled:
            held |= dict((self._settled_secrets,))
        return held.get(session_id)

    def resume_ticket(self) -> ResumeSession:
        """Return what the caller's new handshake needs to go on with this session.

        Each ticket has a first path of its own: the callee may have used that of an earlier one.
        """
        first = self.next_path
        self._paths.pass_over(first)
        return ResumeSession(self.session_id, self._resume_key, first)

    def awaits_path(self, number: int) -> bool:
        """Whether `add_path` may follow: a blob was made or read, and there is a place."""
        return self._paths.is_ready(number)

    def need(self, now: float) -> Need:
        """Caller: what to do about the paths now; ask again after every turn (SPEC 5.8)."""
        if self._role is Role.CALLEE or self.state is State.CLOSED:
            return Need.NOTHING
        self._note_standby(now)
        if self.state is State.STRANDED or now >= self._silent_at():
            return Need.RESUME
        return Need.PATH if now >= self._standby_at() else Need.NOTHING

    def _silent_at(self) -> float:
        """When no path gave a sign of life for too long; never while one is not suspect."""
        paths = self._paths.alive.values()
        if not paths or not all(path.suspect for path in paths):
            return _NEVER
        return max(path.progress for path in paths) + self._limits.silent_after

    def _standby_at(self) -> float:
        """When a session that is in use and hides both sides fully wants a second path."""
        in_use = len(self._streams) and self._paths.level >= STANDBY_LEVEL
        if self._thin_since is None or not in_use:
            return _NEVER
        return self._thin_since + self._limits.standby_after

    @property
    def next_path(self) -> int:
        """The first path of a handshake that resumes: above every number we used."""
        chains = (self._paths.outgoing, self._paths.incoming)
        top = max(self._paths.next_number, *(chain.next_number for chain in chains))
        return top + top % 2

    def _note_carrying(self, order: list[Path]) -> None:
        self._carrying = order[0].number if order else None
        if order:
            self.round_trip = order[0].congestion.round_trip

    def _note_standby(self, now: float) -> None:
        if len(sound(self._paths.alive.values())) >= PATHS_WANTED:
            self._thin_since = None
        elif self._thin_since is None:
            self._thin_since = now

    def _ping_at(self, path: Path) -> float:
        """When to ask for a sign of life: on a path that rests, and on one that fell silent.

        The callee asks nothing of the second kind: it could not call again.
        """
        warm = path.last_sent + self._limits.keep_warm
        if path.curious and self._role is Role.CALLER:
            return min(warm, path.heard + self._limits.curious_after)
        return warm
