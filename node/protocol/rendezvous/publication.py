"""What a callee publishes, and when (SPEC 12.5).

Handshake keys live six hours and are answered for three more; records live three. The record of the
next period goes out at a time drawn once, so that many publishers do not move together and one is
not recognised by its minute.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from peerstream.identity import IdentityKey, SignedDelegation
from peerstream.identity.blinding import blind_secret
from peerstream.identity.descriptor import (
    Audience,
    DescriptorContents,
    DescriptorKey,
    IntroductionPoint,
    PuzzleOffer,
    seal_descriptor,
)
from peerstream.identity.descriptor import HandshakeKey as PublishedKey
from peerstream.identity.descriptor.commitment import Commitment
from peerstream.identity.descriptor.sealing import round_expiry
from peerstream.node.protocol.onion.kem import SEED_SIZE, KemPrivateKey
from peerstream.node.protocol.rendezvous.call import PRIVATE
from peerstream.node.protocol.session.callee import HandshakeKey
from peerstream.node.protocol.session.transcript import Callee

_EARLY_SHARE: Final = (5, 24)  # of a period: the record of the next one goes out in its last hours
_AGAIN_AFTER: Final = (1, 3)  # of a record's life, and as much again at random
_SLACK_S: Final = 600  # clocks of stores differ from ours; an expiry is rounded up besides
_APART_S: Final = 600  # two periods are not published together
_HOUR_S: Final = 3_660  # a minute more than stores count: records are under way


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationRules:
    """The constants of the network, in seconds, and what the descriptor says of the callee.

    `updates_per_hour`: how many records of one key a store takes.
    """

    network_id: bytes
    period_s: int
    record_life_s: int
    key_life_s: int
    key_overlap_s: int
    updates_per_hour: int
    minimum_level: int
    accepts_early: bool
    accepts_anonymous: bool
    cell_classes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """An introduction point that stands: relay_id and our Ed25519 key there, 32 bytes each."""

    relay_id: bytes
    auth_public: bytes
    level: int


@dataclass(frozen=True, slots=True)
class Publication:
    """A record to put to the stores of `blinded` in `period`."""

    period: int
    blinded: bytes
    revision: int
    expiry: int
    record: bytes = field(repr=False)


@dataclass(slots=True)
class _Key:
    """A handshake key and the unix second it was made at."""

    private: KemPrivateKey = field(repr=False)
    made_at: int


@dataclass(slots=True)
class _Period:
    key: DescriptorKey
    due_at: int
    revision: int = 0
    made: list[int] = field(default_factory=list)  # the unix seconds of the last hour's records


class Publisher:
    """The descriptors of one identity, through keys, periods and changing points."""

    def __init__(
        self,
        identity_key: IdentityKey,
        delegation: SignedDelegation,
        audience: Audience,
        rules: PublicationRules,
        *,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._identity_key = identity_key
        self._delegation = delegation
        self._audience = audience
        self._rules = rules
        self._entropy = entropy
        self._points: tuple[Point, ...] = ()
        self._view = (-1, b"")
        self._puzzle: PuzzleOffer | None = None
        self._keys: list[_Key] = []
        self._periods: dict[int, _Period] = {}

    def set_points(self, points: tuple[Point, ...], wall: int) -> None:
        """Name other introduction points: all periods that were published are due again."""
        if points != self._points:
            self._points = points
            self._renew(wall)

    def set_rules(self, rules: PublicationRules, wall: int) -> None:
        """Say something else of the callee: all periods that were published are due again."""
        if rules != self._rules:
            self._rules = rules
            self._renew(wall)

    def tick(self, wall: int) -> None:
        """Make and forget handshake keys and periods."""
        rules = self._rules
        lives = rules.key_life_s + rules.key_overlap_s
        self._keys = [key for key in self._keys if key.made_at + lives > wall]
        if not self._keys or self._keys[-1].made_at + rules.key_life_s <= wall:
            self._keys.append(_Key(KemPrivateKey.from_seed(self._entropy(SEED_SIZE)), wall))
            self._renew(wall)
        now = wall // rules.period_s
        for period in (now, now + 1):
            if period not in self._periods:
                self._periods[period] = self._new_period(period, wall)
        self._periods = {p: state for p, state in self._periods.items() if p >= now - 1}

    def set_view(self, view: tuple[int, bytes], wall: int) -> None:
        """Name our (epoch, root): another root of one epoch makes what was published unusable.

        A new epoch does not: readers know the one before.
        """
        if view[0] == self._view[0] and view[1] != self._view[1]:
            self._renew(wall)
        self._view = view

    def set_puzzle(self, puzzle: PuzzleOffer | None, wall: int) -> None:
        """Ask strangers for another puzzle, or for none."""
        if puzzle != self._puzzle:
            self._puzzle = puzzle
            self._renew(wall)

    def _renew(self, wall: int) -> None:
        """Publish what changed: at once for this period, a little later for the next.

        Two records that always come in one second are of one callee, whatever their keys.
        """
        for period, state in self._periods.items():
            ahead = period * self._rules.period_s - wall
            if ahead <= 0:
                state.due_at = min(state.due_at, wall)
            elif state.revision:
                later = wall + 1 + self._drawn(min(_APART_S, ahead))
                state.due_at = min(state.due_at, later)

    def _new_period(self, period: int, wall: int) -> _Period:
        blinded = blind_secret(self._identity_key, period, self._audience.contact_secret)
        key = DescriptorKey(blinded, self._rules.network_id, self._entropy)
        start = period * self._rules.period_s
        if start <= wall:
            return _Period(key, wall)
        share, whole = _EARLY_SHARE
        opens = max(wall, start - self._rules.period_s * share // whole)
        return _Period(key, start - self._drawn(start - opens))

    def _drawn(self, below: int) -> int:
        return int.from_bytes(self._entropy(4), "big") * max(1, below) >> 32

    def due(self, wall: int) -> tuple[int, ...]:
        """Return the periods whose record is to be made and put now; `tick` comes first."""
        if not self._points:
            return ()
        period = wall // self._rules.period_s
        return tuple(
            number
            for number, state in self._periods.items()
            if number >= period and max(state.due_at, self._allowed_at(state, wall)) <= wall
        )

    def outdated(self, wall: int) -> bool:
        """Whether this period's record says something else than holds now, or is not out yet."""
        state = self._periods.get(wall // self._rules.period_s)
        return state is None or state.due_at <= wall

    def _allowed_at(self, state: _Period, wall: int) -> int:
        """Return when a store takes another record of this key.

        Half of what it takes in an hour may go at once. The rest is spread, so that points that
        come and go do not leave us with an old descriptor for an hour.
        """
        state.made = [made for made in state.made if made > wall - _HOUR_S]
        limit, count = self._rules.updates_per_hour, len(state.made)
        at_once = max(1, limit // 2)
        if count < at_once:
            return wall
        if count < limit:
            return state.made[-1] + _HOUR_S // (limit - at_once)
        return state.made[-limit] + _HOUR_S

    def blinded(self, period: int) -> bytes:
        """Return the key that a period's record lies under."""
        return self._periods[period].key.blinded

    def make(self, period: int, view: tuple[int, bytes], wall: int, floor: int) -> Publication:
        """Make the record of a period. `view`: our (epoch, root). `floor`: highest revision so far.

        Call `failed` when no store took it; else it is due again well before it ends.
        """
        state = self._periods[period]
        rules = self._rules
        revision = max(wall, floor + 1, state.revision + 1)
        life = rules.record_life_s
        expiry = round_expiry(wall + life - min(_SLACK_S, life // 4))
        record = seal_descriptor(
            self._contents(view),
            state.key,
            revision=revision,
            expiry=expiry,
            audience=self._audience,
            entropy=self._entropy,
        )
        state.revision = revision
        state.made.append(wall)
        share, whole = _AGAIN_AFTER
        third = life * share // whole
        state.due_at = wall + third + self._drawn(third)
        return Publication(period, state.key.blinded, revision, expiry, record)

    def commitment(self, publication: Publication) -> tuple[Commitment, bytes]:
        """Return what this period's key may say of a record on the chain, and its signature."""
        key = blind_secret(self._identity_key, publication.period, self._audience.contact_secret)
        digest = sha256(publication.record).digest()
        said = Commitment(key.public, publication.period, publication.revision, digest)
        return said, said.sign(key, self._rules.network_id)

    def failed(self, period: int, again_at: int) -> None:
        """No store took the record just made: it is due again at the unix second `again_at`."""
        state = self._periods.get(period)
        if state is not None:
            state.due_at = min(state.due_at, again_at)
            state.made = state.made[:-1]

    def _contents(self, view: tuple[int, bytes]) -> DescriptorContents:
        rules = self._rules
        current = self._keys[-1]
        expiry = current.made_at + rules.key_life_s + rules.key_overlap_s
        by_level: dict[int, list[IntroductionPoint]] = {1: [], 2: []}
        for point in self._points:
            by_level[point.level].append(IntroductionPoint(point.relay_id, point.auth_public, 0))
        return DescriptorContents(
            delegation=self._delegation,
            handshake_keys=(PublishedKey(current.private.public.raw, expiry),),
            introduction_points=tuple(by_level[2]),
            meeting_points=tuple(by_level[1]),
            minimum_level=rules.minimum_level,
            accepts_early=rules.accepts_early,
            accepts_anonymous=rules.accepts_anonymous,
            authorisation_required=bool(self._audience.client_keys),
            cell_classes=rules.cell_classes,
            view_epoch=view[0],
            view_root=view[1],
            puzzle=self._puzzle,
        )

    def handshake_keys(self) -> Mapping[bytes, HandshakeKey]:
        """Return, by key id, what introductions may be sealed to: every period, point and key."""
        account = self._delegation.delegation.account.raw
        found = {}
        for state in self._periods.values():
            for point in self._points:
                for key in self._keys:
                    callee = Callee(
                        self._rules.network_id,
                        account,
                        state.key.blinded,
                        state.key.period,
                        point.auth_public,
                        key.private.public,
                    )
                    found[callee.key_id] = HandshakeKey(callee, key.private)
        return found

    def meeting_points(self) -> Mapping[bytes, bytes]:
        """Return the relay_ids of our points of level 1 by our key there, 32 bytes each."""
        return {p.auth_public: p.relay_id for p in self._points if p.level == PRIVATE}
