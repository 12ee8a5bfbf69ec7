"""What the local API asks of the daemon behind it (SPEC 17.7)."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

import trio

from peerstream.node.http.schemas import (
    Card,
    Check,
    Circuits,
    Contact,
    NewContact,
    Service,
    Status,
)


class Daemon(Protocol):
    """A daemon. What it refuses it raises as an error of ours, whose docstring says what to do."""

    @property
    def ready(self) -> bool:
        """Whether it dials, and takes more."""
        ...

    def status(self) -> Status:
        """How it does."""
        ...

    def card(self) -> Card:
        """Return who we are. Raises NoIdentityError."""
        ...

    def circuits(self) -> Circuits:
        """Return the sessions and what carries them."""
        ...

    def services(self) -> list[Service]:
        """Return what is exposed."""
        ...

    async def expose(self, service: Service) -> None:
        """Expose a service, or change one of that name. Raises NoIdentityError, ServiceError."""
        ...

    def withdraw(self, name: str) -> None:
        """Expose it no more. Raises UnknownServiceError."""
        ...

    def contacts(self) -> list[Contact]:
        """Return the contacts by alias."""
        ...

    def add_contact(self, contact: NewContact) -> None:
        """Keep a contact. Raises AliasError and others of `store.contacts`, EncodingError."""
        ...

    def remove_contact(self, alias: str) -> None:
        """Forget a contact. Raises UnknownContactError."""
        ...

    async def checks(self) -> list[Check]:
        """Test ourselves; takes seconds."""
        ...

    def counts(self) -> Mapping[str, float]:
        """Return sums for a monitor, by the metric's name without prefix; no label."""
        ...

    def events(self) -> AbstractContextManager[trio.MemoryReceiveChannel[str]]:
        """Subscribe to names of what happens, as in `schemas.Event`."""
        ...
