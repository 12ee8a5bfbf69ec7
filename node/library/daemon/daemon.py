"""A running daemon: what it answers to its owner, and how it ends (SPEC 17)."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
import trio

from peerstream import __version__
from peerstream.identity.contact import ContactCard
from peerstream.node.config import NetworkParameters
from peerstream.node.gateway.service_spec import ServiceSpec
from peerstream.node.http import schemas
from peerstream.node.http.events import Events
from peerstream.node.library.daemon import facts
from peerstream.node.library.daemon.checks import run_checks
from peerstream.node.library.daemon.services import Services
from peerstream.node.library.identities import NoIdentityError
from peerstream.node.library.node import Node
from peerstream.node.store.contacts import Contacts

DRAIN_S: Final = 30.0
_LOOK_S: Final = 0.2

_log = structlog.get_logger("peerstream.daemon")


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonParts:
    """What a daemon is made of. contacts: None where there is no keystore to keep them in."""

    node: Node = field(repr=False)
    network: NetworkParameters
    state: Path
    contacts: Contacts | None = field(repr=False)
    services: Services = field(repr=False)
    listeners: Callable[[], schemas.Listeners]
    stop_taking: Callable[[], None] = field(repr=False)


class Daemon:
    """Implements `node.http.owner.Daemon`. Made by `open_daemon`."""

    def __init__(self, parts: DaemonParts) -> None:
        self.node = parts.node
        self._parts = parts
        self._events = Events()
        self._started = int(time.time())
        self._began = trio.current_time()
        self._draining = False
        self._jumps = 0

    def __repr__(self) -> str:
        return f"<Daemon in {self._parts.state}>"

    @property
    def ready(self) -> bool:
        """Whether it dials, and takes more."""
        return not self._draining and facts.directory_of(self.node) != "none"

    # What its owner reads

    def status(self) -> schemas.Status:
        """How it does, at this moment."""
        node, identity, counted = self.node, self.node.identity, self.node.statistics()
        sessions = (*node.calling(), *node.called())
        delegation = None if identity is None else identity.delegation.delegation
        return schemas.Status(
            version=__version__,
            pid=os.getpid(),
            state=str(self._parts.state),
            mode=self._parts.network.mode.name.lower(),
            network_id="0x" + self._parts.network.network_id.hex(),
            started=self._started,
            draining=self._draining,
            account=None if identity is None else str(identity.account),
            listed=None if identity is None else not identity.contact_secret,
            delegation_ends=None if delegation is None else delegation.not_after,
            certificate_ends=None if identity is None else identity.chain.certificate.not_after,
            directory=facts.directory_of(node),
            relays=node.parts.keeper.relays,
            links=counted["links"],
            circuits=counted["circuits"],
            sessions=len(sessions),
            streams=facts.streams_of(node),
            sent=sum(driver.sent for driver in sessions),
            received=sum(driver.received for driver in sessions),
            services=[service.name for service in self.services()],
            contacts=len(self._parts.contacts or ()),
            listeners=self._parts.listeners(),
            causes=counted["causes"],
        )

    def card(self) -> schemas.Card:
        """Return who we are. Raises NoIdentityError."""
        if self.node.identity is None:
            raise NoIdentityError(f"{self._parts.state}")
        return facts.card_of(self.node.identity)

    def circuits(self) -> schemas.Circuits:
        """Return the sessions and what carries them."""
        return facts.circuits_of(self.node, self._parts.contacts)

    def counts(self) -> Mapping[str, float]:
        """Return sums for a monitor."""
        own = {
            "ready": int(self.ready),
            "uptime_seconds": round(trio.current_time() - self._began),
            "clock_jumps_total": self._jumps,
            "services": len(self.services()),
        }
        return own | facts.counts_of(self.node)

    def events(self) -> AbstractContextManager[trio.MemoryReceiveChannel[str]]:
        """Subscribe to names of what happens."""
        return self._events.listen()

    async def checks(self) -> list[schemas.Check]:
        """Test ourselves; takes seconds."""
        return await run_checks(self.node, self._parts.state, self._parts.services.waiting)

    # Services

    def services(self) -> list[schemas.Service]:
        """Return what is exposed."""
        return self._parts.services.listed()

    async def expose(self, service: schemas.Service) -> None:
        """Expose a service until the daemon ends, or change the one of that name.

        Raises NoIdentityError, ServiceError as a subclass.
        """
        await self._parts.services.expose(ServiceSpec.of_table(service.model_dump()))
        self._events.tell("services")

    def withdraw(self, name: str) -> None:
        """Expose it no more; streams that are open go on. Raises UnknownServiceError."""
        self._parts.services.withdraw(name)
        self._events.tell("services")

    # Contacts

    def contacts(self) -> list[schemas.Contact]:
        """Return the contacts by alias."""
        return facts.contacts_of(self._parts.contacts)

    def _kept(self) -> Contacts:
        if self._parts.contacts is None:
            raise NoIdentityError(f"{self._parts.state}")
        return self._parts.contacts

    def add_contact(self, contact: schemas.NewContact) -> None:
        """Keep a contact. Raises AliasError and others of `store.contacts`, EncodingError."""
        self._kept().add(contact.alias, ContactCard.parse(contact.card))
        self._events.tell("contacts")

    def remove_contact(self, alias: str) -> None:
        """Forget a contact. Raises UnknownContactError."""
        self._kept().remove(alias)
        self._events.tell("contacts")

    # Its life

    def jumped(self) -> None:
        """Look at everything anew: the clocks moved apart, or the machine slept."""
        self._jumps += 1
        _log.info("daemon.clocks_jumped")
        self.node.parts.keeper.look_again()

    async def drain(self) -> None:
        """Take nothing more, and give streams under way their time to end."""
        if self._draining:
            return
        self._draining = True
        _log.info("daemon.draining", streams=facts.streams_of(self.node))
        self._events.tell("draining")
        self._parts.stop_taking()
        self._parts.services.withdraw_all()
        with trio.move_on_after(DRAIN_S):
            while facts.streams_of(self.node):  # noqa: ASYNC110 - sessions of both kinds, no event
                await trio.sleep(_LOOK_S)
