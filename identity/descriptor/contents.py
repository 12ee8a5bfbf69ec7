"""What a descriptor tells those who may read it (SPEC 2.3)."""

from dataclasses import dataclass
from typing import Final, Self

from peerstream.identity.address import Address
from peerstream.identity.canonical import Fields, Value, as_array, as_integer, as_octets
from peerstream.identity.delegation import SignedDelegation
from peerstream.identity.errors import EncodingError, ExpiredError
from peerstream.identity.keys import KEY_SIZE

HANDSHAKE_KEY_SIZE: Final = 1_216
HANDSHAKE_KEYS_MAXIMUM: Final = 4  # the current and the next; 4 still fit the middle size class
INTRODUCTION_POINTS_MINIMUM: Final = 3  # fewer would be a yes/no question about the caller's guard
INTRODUCTION_POINTS_MAXIMUM: Final = 10
MEETING_POINTS_MAXIMUM: Final = 10
LEVEL_MINIMUM: Final = 1
LEVEL_MAXIMUM: Final = 2
CELL_CLASSES: Final = 4
PUZZLE_SEED_SIZE: Final = 16
BODY_KNOWN: Final = range(1, 8)
_U32: Final = (1 << 32) - 1
_U64: Final = (1 << 64) - 1
_ACCEPTS_EARLY, _ACCEPTS_ANONYMOUS, _AUTHORISATION_REQUIRED = 1, 2, 4


@dataclass(frozen=True, slots=True)
class HandshakeKey:
    """A KEM public key of 1 216 bytes for the end-to-end handshake, good until ``expiry``."""

    public: bytes
    expiry: int


@dataclass(frozen=True, slots=True)
class IntroductionPoint:
    """A relay that passes introductions on: its id, our key there, and which handshake key."""

    relay_id: bytes
    auth_key: bytes
    handshake_key: int


@dataclass(frozen=True, slots=True)
class PuzzleOffer:
    """What a flooded callee wants strangers to solve: how hard, 1 or more, and for which seed."""

    effort: int
    seed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptorContents:
    """How an account is reached, and who vouches for it.

    ``introduction_points`` serve level 2, ``meeting_points`` level 1; each list has distinct
    relays. ``cell_classes`` ascend. (``view_epoch``, ``view_root``) is the relay set it was made
    for. ``puzzle`` stands only in that of a callee under flood. Raises EncodingError for values
    outside the limits of SPEC 2.3.
    """

    delegation: SignedDelegation
    handshake_keys: tuple[HandshakeKey, ...]
    introduction_points: tuple[IntroductionPoint, ...]
    meeting_points: tuple[IntroductionPoint, ...] = ()
    minimum_level: int = LEVEL_MAXIMUM
    accepts_early: bool = False
    accepts_anonymous: bool = False
    authorisation_required: bool = False
    cell_classes: tuple[int, ...] = (2,)
    view_epoch: int
    view_root: bytes
    puzzle: PuzzleOffer | None = None

    def __post_init__(self) -> None:
        _check_handshake_keys(self.handshake_keys)
        _check_points(self.introduction_points, INTRODUCTION_POINTS_MINIMUM, self.handshake_keys)
        _check_points(self.meeting_points, 0, self.handshake_keys)
        if not LEVEL_MINIMUM <= self.minimum_level <= LEVEL_MAXIMUM:
            raise EncodingError("a level is 1 or 2")
        classes = self.cell_classes
        if not classes or list(classes) != sorted(set(classes) & set(range(CELL_CLASSES))):
            raise EncodingError("cell classes are 0 to 3, ascending, at least one")
        if not 0 <= self.view_epoch <= _U64 or len(self.view_root) != KEY_SIZE:
            raise EncodingError("a view is an epoch and a root of 32 bytes")
        _check_puzzle(self.puzzle)

    @property
    def account(self) -> Address:
        """The account that is reached."""
        return self.delegation.delegation.account

    @property
    def identity_key(self) -> bytes:
        """The x-only identity key that the account delegated to."""
        return self.delegation.delegation.identity_key

    def usable_handshake_key(self, point: IntroductionPoint, now: int) -> HandshakeKey:
        """Return the handshake key of a point; raises ExpiredError when its time is over."""
        key = self.handshake_keys[point.handshake_key]
        if key.expiry <= now:
            raise ExpiredError("the handshake key of this introduction point is over")
        return key

    def body_fields(self) -> dict[int, Value]:
        """Return the part that client authorisation encrypts again."""
        fields: dict[int, Value] = {
            1: [[key.public, key.expiry] for key in self.handshake_keys],
            2: [_write_point(point) for point in self.introduction_points],
            3: [_write_point(point) for point in self.meeting_points],
            4: [self.minimum_level, self._flags()],
            5: list(self.cell_classes),
            6: [self.view_epoch, self.view_root],
        }
        if self.puzzle is not None:
            fields[7] = [self.puzzle.effort, self.puzzle.seed]
        return fields

    @classmethod
    def from_fields(cls, delegation: SignedDelegation, body: Fields) -> Self:
        """Read the body; raises EncodingError."""
        level, flags = body.array(4, 2, 2)
        epoch, root = body.array(6, 2, 2)
        bits = as_integer(flags, 0xFFFF)
        return cls(
            delegation=delegation,
            handshake_keys=tuple(
                _read_handshake_key(v) for v in body.array(1, 1, HANDSHAKE_KEYS_MAXIMUM)
            ),
            introduction_points=_read_points(body, 2, INTRODUCTION_POINTS_MAXIMUM),
            meeting_points=_read_points(body, 3, MEETING_POINTS_MAXIMUM),
            minimum_level=as_integer(level, LEVEL_MAXIMUM),
            accepts_early=bool(bits & _ACCEPTS_EARLY),
            accepts_anonymous=bool(bits & _ACCEPTS_ANONYMOUS),
            authorisation_required=bool(bits & _AUTHORISATION_REQUIRED),
            cell_classes=tuple(as_integer(v, 255) for v in body.array(5, 1, CELL_CLASSES)),
            view_epoch=as_integer(epoch, _U64),
            view_root=as_octets(root, KEY_SIZE),
            puzzle=_read_puzzle(body),
        )

    def _flags(self) -> int:
        return (
            _ACCEPTS_EARLY * self.accepts_early
            + _ACCEPTS_ANONYMOUS * self.accepts_anonymous
            + _AUTHORISATION_REQUIRED * self.authorisation_required
        )


def _check_handshake_keys(keys: tuple[HandshakeKey, ...]) -> None:
    if not 1 <= len(keys) <= HANDSHAKE_KEYS_MAXIMUM:
        raise EncodingError("a descriptor has 1 to 4 handshake keys")
    for key in keys:
        if len(key.public) != HANDSHAKE_KEY_SIZE or not 0 <= key.expiry <= _U64:
            raise EncodingError("a handshake key is 1 216 bytes and an expiry")


def _check_points(
    points: tuple[IntroductionPoint, ...], minimum: int, keys: tuple[HandshakeKey, ...]
) -> None:
    if not minimum <= len(points) <= INTRODUCTION_POINTS_MAXIMUM:
        raise EncodingError("too few or too many introduction points")
    if len({point.relay_id for point in points}) != len(points):
        raise EncodingError("a relay stands twice among the introduction points")
    for point in points:
        if len(point.relay_id) != KEY_SIZE or len(point.auth_key) != KEY_SIZE:
            raise EncodingError("a relay id and a key are 32 bytes")
        if not 0 <= point.handshake_key < len(keys):
            raise EncodingError("an introduction point names a handshake key that is not there")


def _check_puzzle(puzzle: PuzzleOffer | None) -> None:
    if puzzle is not None and (
        not 1 <= puzzle.effort <= _U32 or len(puzzle.seed) != PUZZLE_SEED_SIZE
    ):
        raise EncodingError("a puzzle is an effort of at least 1 and a seed of 16 bytes")


def _read_puzzle(body: Fields) -> PuzzleOffer | None:
    if 7 not in body:
        return None
    effort, seed = body.array(7, 2, 2)
    return PuzzleOffer(as_integer(effort, _U32), as_octets(seed, PUZZLE_SEED_SIZE))


def _write_point(point: IntroductionPoint) -> Value:
    return [point.relay_id, point.auth_key, point.handshake_key]


def _read_points(body: Fields, key: int, maximum: int) -> tuple[IntroductionPoint, ...]:
    return tuple(_read_point(value) for value in body.array(key, 0, maximum))


def _read_point(value: Value) -> IntroductionPoint:
    relay_id, auth_key, index = as_array(value, 3, 3)
    return IntroductionPoint(
        relay_id=as_octets(relay_id, KEY_SIZE),
        auth_key=as_octets(auth_key, KEY_SIZE),
        handshake_key=as_integer(index, HANDSHAKE_KEYS_MAXIMUM - 1),
    )


def _read_handshake_key(value: Value) -> HandshakeKey:
    public, expiry = as_array(value, 2, 2)
    return HandshakeKey(as_octets(public, HANDSHAKE_KEY_SIZE), as_integer(expiry, _U64))
