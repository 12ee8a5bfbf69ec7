"""The constants of a network, and their hash (SPEC 7.1).

The hash is fixed where the network is rooted, in the registry or the static file: whoever changes
a constant makes another network.
"""

import hashlib
from dataclasses import dataclass, field, fields
from typing import Any, Final

from peerstream.identity import canonical
from peerstream.identity.labels import NETWORK_PARAMETERS
from peerstream.node.config.errors import SettingRangeError
from peerstream.node.config.tables import table
from peerstream.node.protocol.directory.guards import GuardRules
from peerstream.node.protocol.directory.ring import RingRules
from peerstream.node.protocol.directory.weights import WeightRules
from peerstream.node.protocol.onion.replay import BUCKET_SECONDS

_U63: Final = 2**63 - 1
_DAY: Final = 86_400
_YEAR: Final = 366 * _DAY
_NAME_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class _Number:
    low: int
    high: int = _U63

    def read(self, name: str, value: object) -> int:
        if type(value) is not int or not self.low <= value <= self.high:
            raise SettingRangeError(f"{name} is a whole number in {self.low}..{self.high}")
        return value


@dataclass(frozen=True, slots=True)
class _Numbers:
    item: _Number
    least: int
    most: int

    def read(self, name: str, value: object) -> tuple[int, ...]:
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            raise SettingRangeError(f"{name} is a list of {self.least}..{self.most} numbers")
        return tuple(self.item.read(name, item) for item in value)


@dataclass(frozen=True, slots=True)
class _Flag:
    def read(self, name: str, value: object) -> bool:
        if not isinstance(value, bool):
            raise SettingRangeError(f"{name} is true or false")
        return value


@dataclass(frozen=True, slots=True)
class _Name:
    def read(self, name: str, value: object) -> str:
        letters = isinstance(value, str) and value.replace("-", "").isalnum() and value.isascii()
        if not isinstance(value, str) or not letters or len(value) > _NAME_MAX:
            raise SettingRangeError(f"{name} is up to 32 letters, digits and hyphens")
        return value


def _setting(kind: _Number | _Numbers | _Flag | _Name) -> Any:
    return field(metadata={"kind": kind})


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConstants:
    """The constants of a network. Names end in _s for seconds; lives in pairs are bounds.

    Raises SettingRangeError where two of them contradict each other.
    """

    name: str = _setting(_Name())
    epoch_s: int = _setting(_Number(60, 7 * _DAY))
    period_s: int = _setting(_Number(60, 30 * _DAY))
    bucket_s: int = _setting(_Number(BUCKET_SECONDS, BUCKET_SECONDS))  # the replay filter's
    cell_classes: tuple[int, ...] = _setting(_Numbers(_Number(0, 3), 1, 4))
    credits: tuple[int, ...] = _setting(_Numbers(_Number(2, 4_096), 4, 4))
    levels: tuple[int, ...] = _setting(_Numbers(_Number(1, 2), 1, 2))
    subnet_rule: bool = _setting(_Flag())
    family_rule: bool = _setting(_Flag())
    cap_rule: bool = _setting(_Flag())
    private_addresses: bool = _setting(_Flag())
    minimum_guard_age: int = _setting(_Number(0, 10_000))  # epochs
    guards: int = _setting(_Number(1, 10))
    live_guards: int = _setting(_Number(1, 10))
    vanguards: int = _setting(_Number(1, 10))
    guard_life_s: tuple[int, ...] = _setting(_Numbers(_Number(60, _YEAR), 2, 2))
    vanguard_life_s: tuple[int, ...] = _setting(_Numbers(_Number(60, _YEAR), 2, 2))
    replicas: int = _setting(_Number(1, 8))
    stores: int = _setting(_Number(1, 16))
    fetch: int = _setting(_Number(1, 16))
    updates_per_hour: int = _setting(_Number(1, 3_600))
    descriptor_life_s: int = _setting(_Number(600, _DAY))
    handshake_key_life_s: int = _setting(_Number(600, 7 * _DAY))
    handshake_key_overlap_s: int = _setting(_Number(0, 7 * _DAY))
    address_life_s: int = _setting(_Number(600, 30 * _DAY))

    def __post_init__(self) -> None:
        if self.period_s % self.epoch_s:
            raise SettingRangeError("period_s is a multiple of epoch_s")
        if self.fetch > self.stores:
            raise SettingRangeError("fetch is at most stores")
        for name in ("cell_classes", "levels"):
            values = getattr(self, name)
            if list(values) != sorted(set(values)):
                raise SettingRangeError(f"{name} rises, each number once")
        for name in ("guard_life_s", "vanguard_life_s"):
            low, high = getattr(self, name)
            if low > high:
                raise SettingRangeError(f"{name} is a lower and an upper bound")

    @classmethod
    def from_json(cls, value: object) -> "NetworkConstants":
        """Read the part `constants`. Raises NetworkFileError, as a subclass."""
        kinds = {f.name: f.metadata["kind"] for f in fields(NetworkConstants)}
        values = table("constants", value, required=kinds)
        return NetworkConstants(**{name: kinds[name].read(name, values[name]) for name in kinds})

    def constants_json(self) -> dict[str, Any]:
        """Return the part `constants` of a network file."""
        values = {f.name: getattr(self, f.name) for f in fields(NetworkConstants)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @property
    def parameters_hash(self) -> bytes:
        """SHA-256 over the constants, 32 bytes: what the registry and static files name."""
        rows: canonical.Value = [[name, v] for name, v in sorted(self.constants_json().items())]
        return hashlib.sha256(NETWORK_PARAMETERS + canonical.encode(rows)).digest()

    @property
    def weight_rules(self) -> WeightRules:
        """What `directory.weights` needs."""
        return WeightRules(self.cap_rule, self.minimum_guard_age)

    @property
    def ring_rules(self) -> RingRules:
        """What `directory.ring` needs."""
        return RingRules(self.replicas, self.stores)

    @property
    def guard_rules(self) -> GuardRules:
        """What `directory.guards` needs."""
        return GuardRules(
            self.guards,
            self.live_guards,
            self.vanguards,
            (self.guard_life_s[0], self.guard_life_s[1]),
            (self.vanguard_life_s[0], self.vanguard_life_s[1]),
        )

    def key_epoch(self, wall: int) -> int:
        """Return the epoch of onion keys at that unix second."""
        return wall // self.epoch_s

    def period(self, wall: int) -> int:
        """Return the descriptor period at that unix second."""
        return wall // self.period_s

    def bucket(self, wall: int) -> int:
        """Return the replay bucket at that unix second."""
        return wall // self.bucket_s
