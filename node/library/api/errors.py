"""What a program meets, by what it can do about it (SPEC 18.3).

Every error names its cause, a class of the project whose docstring is the remedy (decision 0107).
The same one is raised whether the node runs here, in a thread or in the daemon.
"""

import inspect
from typing import Any, ClassVar, Final, Self

import anyio

from peerstream.identity.errors import (
    AddressError,
    EncodingError,
    IdentityError,
    KeyMaterialError,
)
from peerstream.node.config.errors import NetworkFileError
from peerstream.node.gateway.errors import DestinationError, EnsError, UnknownAliasError
from peerstream.node.library.errors import NoSourceError
from peerstream.node.library.identities import IdentityStateError
from peerstream.node.ports import (
    DatagramTooLargeError,
    PortError,
    SessionEndedError,
    StorageError,
    StreamError,
    StreamResetError,
)
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.errors import (
    AddressUnknownError,
    CallDeniedError,
    IdentityRequiredError,
    RoleError,
)
from peerstream.node.roles.service_table import ServiceExistsError, ServiceNameError
from peerstream.node.store.errors import DaemonNotRunningError

STATUSES: Final = frozenset(int(status) for status in Status)
_TEXT_MAX: Final = 1_024


class PeerStreamError(Exception):
    """Something did not work; the subclass says what kind of thing, `remedy` what to do.

    cause: the name of the class that it comes from. status: what the other side said, or None.
    """

    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, cause: str = "", remedy: str = "", status: Status | None = None
    ) -> None:
        super().__init__(message)
        self.cause = cause or type(self).__name__
        self.remedy = remedy or inspect.cleandoc(type(self).__doc__ or "")
        self.status = status
        self.add_note(self.remedy)  # so that a traceback says it, too

    def to_json(self) -> dict[str, Any]:
        """Return it as the daemon tells it to a client."""
        return {
            "error": type(self).__name__,
            "message": str(self)[:_TEXT_MAX],
            "cause": self.cause,
            "remedy": self.remedy[:_TEXT_MAX],
            "status": None if self.status is None else int(self.status),
        }

    def because(self, error: BaseException) -> Self:
        """Return it with its cause, for a `raise` without `from`."""
        self.__cause__ = error
        return self


class BadRequestError(PeerStreamError):
    """The call makes no sense: a malformed name or address, a service twice. Change the call."""


class NameNotFoundError(PeerStreamError):
    """The name or address leads to nobody that is known here. Ask its owner for the card."""


class IdentityNeededError(PeerStreamError):
    """The node has no identity that is good for this: make, sign or renew one with `psp id`."""


class UnreachableError(PeerStreamError):
    """Nobody answered: the other side, or the network, is offline. Try again in a minute."""

    retryable: ClassVar[bool] = True


class RefusedError(PeerStreamError):
    """The other side answered and refused; `status` says why."""


class UnverifiedError(PeerStreamError):
    """What came does not prove that it is from that address: it was dropped. Do not go on."""


class StateError(PeerStreamError):
    """The node's own files cannot be used, or its network file."""


class DaemonError(PeerStreamError):
    """There is no daemon at the socket, or it does not speak as it should: start `psp up`."""


class StreamBrokenError(PeerStreamError, anyio.BrokenResourceError):
    """The stream ended in the middle; `status` says why. What was not received is lost."""


CLASSES: Final = {
    each.__name__: each
    for each in (
        BadRequestError, NameNotFoundError, IdentityNeededError, UnreachableError, RefusedError,
        UnverifiedError, StateError, DaemonError, StreamBrokenError,
    )
}  # fmt: skip

# The first that fits counts.
_KINDS: Final[tuple[tuple[tuple[type[Exception], ...], type[PeerStreamError]], ...]] = (
    ((AddressUnknownError, UnknownAliasError, EnsError), NameNotFoundError),
    ((CallDeniedError,), RefusedError),
    ((IdentityRequiredError, IdentityStateError), IdentityNeededError),
    (
        (
            DestinationError, AddressError, EncodingError, KeyMaterialError, ServiceExistsError,
            ServiceNameError, DatagramTooLargeError, ValueError,
        ),
        BadRequestError,
    ),
    ((StreamError,), StreamBrokenError),
    ((DaemonNotRunningError,), DaemonError),
    ((StorageError, NetworkFileError, NoSourceError), StateError),
    ((IdentityError,), UnverifiedError),
    ((RoleError, PortError, ProtocolError), UnreachableError),
)  # fmt: skip
FAMILIES: Final = tuple({each for kinds, _ in _KINDS for each in kinds})


def public(error: Exception) -> PeerStreamError:
    """Return what a program is told for an error of the project, of FAMILIES; it is its cause."""
    if isinstance(error, PeerStreamError):
        return error
    kind = next(kind for classes, kind in _KINDS if isinstance(error, classes))
    told = kind(
        str(error),
        cause=type(error).__name__,
        remedy=inspect.cleandoc(type(error).__doc__ or ""),
        status=_status(error),
    )
    return told.because(error)


def _status(error: Exception) -> Status | None:
    if isinstance(error, (StreamResetError, SessionEndedError, CallDeniedError)):
        return error.status
    return None


def from_json(told: dict[str, Any]) -> PeerStreamError:
    """Return the error that a daemon told of; a DaemonError when it makes no sense."""
    kind = CLASSES.get(str(told.get("error")))
    texts = [told.get(key) for key in ("message", "cause", "remedy")]
    if kind is None or not all(isinstance(text, str) for text in texts):
        return DaemonError("the daemon told of an error that nobody knows")
    message, cause, remedy = map(str, texts)
    code = told.get("status")
    status = Status(code) if isinstance(code, int) and code in STATUSES else None
    return kind(message, cause=cause, remedy=remedy, status=status)


def broken(status: Status, *, session: bool = False) -> StreamBrokenError:
    """Return what a stream raises that its peer gave up, or whose session ended."""
    error = SessionEndedError(status) if session else StreamResetError(status)
    told = public(error)
    if not isinstance(told, StreamBrokenError):
        raise TypeError(told)
    return told
