"""What a daemon exposes of its machine: as configured, and as its owner asks (SPEC 19)."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import structlog
import trio

from peerstream.identity.address import Address
from peerstream.node.gateway.access_log import FileLog
from peerstream.node.gateway.errors import ServiceConflictError
from peerstream.node.gateway.exposing import ExposedService
from peerstream.node.gateway.service_spec import SERVICES_MAX, ServiceSpec
from peerstream.node.http import schemas
from peerstream.node.library.daemon.errors import UnknownServiceError
from peerstream.node.library.identities import NoIdentityError
from peerstream.node.library.node import Node, ServiceOffer
from peerstream.node.services import ping
from peerstream.node.store.contacts import Contacts

_log = structlog.get_logger("peerstream.daemon")


class Services:
    """The exposed services of one node.

    level: the least for those that name none. log: where each stream is noted, None for nowhere.
    """

    def __init__(
        self, node: Node, level: int, contacts: Contacts | None, log: Path | None = None
    ) -> None:
        self._node = node
        self._level = level
        self._contacts = contacts
        self._log = None if log is None else FileLog.open(log)
        self._specs: dict[str, ServiceSpec] = {}
        self._waiting: set[str] = set()
        self._changing = trio.Lock()

    def listed(self) -> list[schemas.Service]:
        """Return what is exposed, by name."""
        return [
            schemas.Service.model_validate(spec.table()) for _, spec in sorted(self._specs.items())
        ]

    @property
    def waiting(self) -> list[str]:
        """The names that are to be exposed, and that callers cannot reach yet."""
        return sorted(self._waiting)

    async def expose(self, spec: ServiceSpec) -> None:
        """Expose a service, in place of one of that name; return once callers can reach it.

        Raises NoIdentityError, ServiceConflictError for one too many.
        """
        identity = self._node.identity
        if identity is None:
            raise NoIdentityError("nothing to be called by")
        self._waiting.add(spec.name)
        try:
            await self._expose(spec, identity.account)
        finally:
            self._waiting.discard(spec.name)

    async def _expose(self, spec: ServiceSpec, account: Address) -> None:
        async with self._changing:
            if spec.name not in self._specs and len(self._specs) >= SERVICES_MAX:
                raise ServiceConflictError(f"at most {SERVICES_MAX} services")
            exposed = ExposedService(spec, account, self._is_contact, self._log)
            level = self._level if spec.level is None else spec.level
            await self._node.replace(spec.name, replace(exposed.offer(), level=level))
            if spec.name in self._node.services:  # it may have been withdrawn since
                self._specs[spec.name] = spec
            if ping.SERVICE not in self._node.services:  # so that `psp doctor` can dial ourselves
                await self._node.offer(
                    ping.SERVICE, ServiceOffer(ping.answer_pings, level=self._level)
                )

    def withdraw(self, name: str) -> None:
        """Take no more streams for a service. Raises UnknownServiceError."""
        if name not in self._specs:
            raise UnknownServiceError(name)
        del self._specs[name]
        self._node.withdraw(name)

    def withdraw_all(self) -> None:
        """Take no more streams for anything."""
        self._specs.clear()
        for name in self._node.services:
            self._node.withdraw(name)

    async def expose_all(self, specs: Iterable[ServiceSpec]) -> None:
        """Expose one after the other, however long it takes."""
        wanted = list(specs)
        self._waiting.update(spec.name for spec in wanted)
        for spec in wanted:
            await self.expose(spec)
            _log.info("daemon.exposed", services=len(self._specs))

    def _is_contact(self, account: Address) -> bool:
        return self._contacts is not None and self._contacts.is_contact(account)
