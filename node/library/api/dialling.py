"""What connecting and listening take, checked and as JSON (SPEC 18.2, 18.5)."""

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any, Final, Self

from peerstream.node.library.api.errors import BadRequestError
from peerstream.node.protocol.session.frames import SERVICE_SIZE_MAX

EARLY_MAX: Final = 3_072
ISOLATION_MAX: Final = 255
TARGET_MAX: Final = 256
_LEVELS: Final = (1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class DialRequest:
    """Whom to dial, and how. Raises BadRequestError for what makes no sense."""

    target: str = field(repr=False)  # a card holds a secret
    service: str = ""
    level: int = 2
    anonymous: bool = False
    isolation: bytes = field(default=b"", repr=False)
    early: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        _require(self.target, str, TARGET_MAX, "a target")
        _require(self.service, str, SERVICE_SIZE_MAX, "a service")
        _require(self.isolation, bytes, ISOLATION_MAX, "an isolation")
        _require(self.early, bytes, EARLY_MAX, "early data")
        _require_level(self.level)

    def to_json(self) -> dict[str, Any]:
        """Return it as it goes over a stream socket."""
        return {
            "do": "connect",
            "target": self.target,
            "service": self.service,
            "level": self.level,
            "anonymous": self.anonymous,
            "isolation": base64.b64encode(self.isolation).decode(),
            "early": base64.b64encode(self.early).decode(),
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """Read it. Raises BadRequestError."""
        return cls(
            target=told.get("target", ""),
            service=told.get("service", ""),
            level=told.get("level", 2),
            anonymous=told.get("anonymous") is True,
            isolation=_bytes(told.get("isolation", "")),
            early=_bytes(told.get("early", "")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenRequest:
    """Which service to offer, and to whom. Raises BadRequestError for what makes no sense."""

    service: str
    level: int | None = None
    anonymous: bool = False
    early_data: bool = False

    def __post_init__(self) -> None:
        _require(self.service, str, SERVICE_SIZE_MAX, "a service")
        if self.level is not None:
            _require_level(self.level)

    def to_json(self) -> dict[str, Any]:
        """Return it as it goes over a stream socket."""
        return {
            "do": "listen",
            "service": self.service,
            "level": self.level,
            "anonymous": self.anonymous,
            "early_data": self.early_data,
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """Read it. Raises BadRequestError."""
        return cls(
            service=told.get("service", ""),
            level=told.get("level"),
            anonymous=told.get("anonymous") is True,
            early_data=told.get("early_data") is True,
        )


def _require(value: object, kind: type[str | bytes], most: int, what: str) -> None:
    if not isinstance(value, kind) or _size(value) > most:
        raise BadRequestError(f"{what} is {kind.__name__} of at most {most} bytes")


def _size(value: str | bytes) -> int:
    return len(value.encode(errors="surrogatepass") if isinstance(value, str) else value)


def _require_level(level: object) -> None:
    if type(level) is not int or level not in _LEVELS:
        raise BadRequestError("a level is 1 or 2")


def _bytes(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequestError("that is no Base64") from error
