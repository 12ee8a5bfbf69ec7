"""An exposed service as it is configured: by `psp expose` or a `[[service]]` (SPEC 19.1)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from peerstream.node.gateway.callers import AllowList
from peerstream.node.gateway.errors import BadServiceError, ServiceConflictError
from peerstream.node.gateway.targets import Target, UdpTarget, parse_target

SERVICES_MAX: Final = 64
LEVELS: Final = {"private": 1, "anonymous": 2}
LEVEL_NAMES: Final = {number: name for name, number in LEVELS.items()}
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_KEYS: Final = ("name", "target", "allow", "level", "proxy_protocol", "http")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """One exposed service. level: the least that callers may use, None for the node's own."""

    name: str
    target: Target
    allow: AllowList = field(default_factory=AllowList)
    level: int | None = None
    proxy_protocol: bool = False
    http: bool = False

    def __post_init__(self) -> None:
        """Raise BadServiceError, ServiceConflictError."""
        if not _NAME.fullmatch(self.name):
            raise BadServiceError("a name has 1 to 63 of a-z, 0-9 and inner hyphens")
        if self.proxy_protocol and self.http:
            raise ServiceConflictError("the caller is handed over as PROXY v2 or in HTTP headers")
        if isinstance(self.target, UdpTarget) and (self.proxy_protocol or self.http):
            raise ServiceConflictError("a UDP target takes datagrams alone")

    @classmethod
    def of_table(cls, table: Mapping[str, object]) -> Self:
        """Read a `[[service]]` of the configuration, or an object of the API, of text and flags.

        Raises BadServiceError, BadAllowError, ServiceConflictError.
        """
        unknown = sorted(table.keys() - set(_KEYS))
        if unknown:
            raise BadServiceError(f"no setting {unknown[0]!r}: there are {', '.join(_KEYS)}")
        return cls(
            name=_text(table, "name"),
            target=parse_target(_text(table, "target")),
            allow=AllowList.of(_words(table.get("allow"))),
            level=_level(table.get("level")),
            proxy_protocol=_flag(table, "proxy_protocol"),
            http=_flag(table, "http"),
        )

    def table(self) -> dict[str, Any]:
        """Return what `of_table` reads."""
        return {
            "name": self.name,
            "target": str(self.target),
            "allow": self.allow.words(),
            "level": None if self.level is None else LEVEL_NAMES[self.level],
            "proxy_protocol": self.proxy_protocol,
            "http": self.http,
        }


def services_of(tables: Iterable[Mapping[str, object]]) -> list[ServiceSpec]:
    """Read several services, whose names differ.

    Raises BadServiceError, BadAllowError, ServiceConflictError.
    """
    found = [ServiceSpec.of_table(table) for table in tables]
    if len({spec.name for spec in found}) < len(found):
        raise ServiceConflictError("two services of one name")
    if len(found) > SERVICES_MAX:
        raise ServiceConflictError(f"at most {SERVICES_MAX} services")
    return found


def named_target(text: str) -> dict[str, object]:
    """Read NAME=TARGET into the two of a table. Raises BadServiceError."""
    name, sign, target = text.partition("=")
    if not sign:
        raise BadServiceError(f"{text!r} has no =")
    return {"name": name, "target": target}


def _text(table: Mapping[str, object], key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str):
        raise BadServiceError(f"{key} is missing, or no text")
    return value


def _flag(table: Mapping[str, object], key: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise BadServiceError(f"{key} is true or false")
    return value


def _words(value: object) -> list[str]:
    if value is None:
        return []
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise BadServiceError("allow is a list of text")
    return words


def _level(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in LEVELS:
        raise BadServiceError(f"level is one of {', '.join(LEVELS)}")
    return LEVELS[value]
