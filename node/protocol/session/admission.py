"""Whether a call is admitted, before a circuit is spent on it (SPEC 5.3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.session.callee import OpenedCall
from peerstream.node.protocol.session.errors import (
    CallerRequiredError,
    DowngradeError,
    UnknownEpochError,
    UnknownRendezvousError,
    UnknownServiceError,
    ViewMismatchError,
)
from peerstream.node.protocol.session.messages import CallRequest


class Views(Protocol):
    """The callee's own views of the relay set: of the epoch before, this one and the next."""

    def roots(self) -> Mapping[int, bytes]:
        """Root by epoch, 32 bytes each; all zero where the network has no common set."""

    def knows(self, relay_id: bytes) -> bool:
        """Whether the relay is in one of these views."""

    def admits(self, relay_id: bytes, descriptor: bytes) -> bool:
        """Whether the descriptor proves that the relay belongs to the network all the same."""


@dataclass(frozen=True, slots=True)
class ServicePolicy:
    """What a service allows."""

    anonymous: bool = False
    early_data: bool = False  # its first bytes may be replayed once a callee forgot them
    level: int = 1  # the least; the callee's own counts besides
    takes_all: bool = False  # a stream of an admitted caller is taken, whoever serves it


@dataclass(frozen=True, slots=True)
class CalleePolicy:
    """The least level, the views and the services of a callee."""

    level: int
    views: Views
    services: Mapping[str, ServicePolicy]


def admit(call: OpenedCall, policy: CalleePolicy) -> bytes:
    """Check a call against our rules and return the early data that the service may read.

    Raises DowngradeError, UnknownEpochError, ViewMismatchError, UnknownRendezvousError: answer
    with `call.refuse(error.status)`, but the last (see `check_rendezvous`). With a service named
    also UnknownServiceError, DowngradeError for that service, CallerRequiredError. A claim must be
    verified before.
    """
    request = call.request
    if request.level < policy.level:
        raise DowngradeError(f"level {request.level} asked, {policy.level} needed")
    _check_view(request, policy.views)
    if call.resume is not None or not request.service:
        return b""
    service = policy.services.get(request.service)
    if service is None:
        raise UnknownServiceError("no such service")
    if request.level < service.level:
        raise DowngradeError(f"level {request.level} asked, the service needs {service.level}")
    if call.claim is None and not service.anonymous:
        raise CallerRequiredError("the service admits no anonymous callers")
    if call.claim is not None and not call.verified:
        raise LocalProtocolError("the caller's claim was not verified")
    return request.early if service.early_data else b""


def takes_stream(request: CallRequest, policy: CalleePolicy) -> bool:
    """Whether a stream to the service that an admitted call named needs no word of its own."""
    service = policy.services.get(request.service)
    return service is not None and service.takes_all


def _check_view(request: CallRequest, views: Views) -> None:
    roots = views.roots()
    root = roots.get(request.epoch)
    if root is None:
        raise UnknownEpochError(f"epoch {request.epoch}, ours are {sorted(roots)}")
    if root != request.root:
        raise ViewMismatchError(f"another relay set in epoch {request.epoch}")
    check_rendezvous(request, views)


def check_rendezvous(request: CallRequest, views: Views) -> None:
    """Raise UnknownRendezvousError for a rendezvous relay that nobody vouches for.

    Ask before anything is answered: there is nobody to answer to.
    """
    descriptor = request.rendezvous_descriptor
    if not views.knows(request.relay_id) and not (
        descriptor and views.admits(request.relay_id, descriptor)
    ):
        raise UnknownRendezvousError("the rendezvous relay is in none of our views")
