"""Fetches descriptors and grants from their stores, over circuits (SPEC 10.6, 12.2)."""

from typing import Final

import trio

from peerstream.identity.address import Address
from peerstream.identity.delegation import DelegationChecks, Scope
from peerstream.identity.errors import IdentityError
from peerstream.node.protocol.directory.commands import Answer, Get, Kind
from peerstream.node.protocol.directory.errors import (
    DirectoryError,
    MalformedDocumentError,
    NoSafePathError,
)
from peerstream.node.protocol.directory.lookup import (
    Found,
    Judge,
    Sought,
    judge_grant,
    periods_to_ask,
)
from peerstream.node.protocol.directory.paths import Purpose
from peerstream.node.protocol.directory.ring import grant_index
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.circuits import NO_CARE, Care, CircuitPlan
from peerstream.node.roles.errors import (
    AddressUnknownError,
    CircuitClosedError,
    CircuitFailedError,
    DescriptorUnavailableError,
    RelayAnswerError,
)
from peerstream.node.roles.parts import NodeParts

STORES_ASKED: Final = 4
ANONYMOUS: Final = 2


class Lookups:
    """Asks the stores of the ring; one address a circuit, always at level 2."""

    def __init__(self, parts: NodeParts) -> None:
        self._environment = parts.environment
        self._network = parts.network
        self._keeper = parts.keeper
        self._circuits = parts.circuits
        self._pins = parts.pins
        self._judge = Judge(parts.network.record_rules, parts.keeper.directory)

    def checks(self, scope: Scope) -> DelegationChecks:
        """Return what delegations are judged by now."""
        return DelegationChecks(
            network_id=self._network.network_id,
            now=self._environment.clock.wall(),
            required_scope=scope,
            revoked_before=self._keeper.identities.revoked_before,
            newest_issued=self._pins.newest_issued,
        )

    async def descriptor(self, sought: Sought, care: Care = NO_CARE) -> Found:
        """Return the descriptor of an account; `care`: for the circuits, and for each answer.

        Raises the IdentityError or DirectoryError of the answer when every store gave one that
        does not hold, DescriptorUnavailableError when there was none; and as `Circuits.open`.
        """
        wall = self._environment.clock.wall()
        reasons: list[str] = []
        refusal: Exception | None = None
        unasked = 0
        for period in periods_to_ask(wall, self._network.period_s):
            blinded = sought.blinded(period)
            left = set(self._keeper.ring(period).responsible(blinded))
            for _ in range(min(STORES_ASKED, len(left))):
                before = len(left)
                answer = await self._ask(Get(Kind.RECORD, blinded), left, reasons, care)
                if answer is None:
                    unasked += len(left) == before
                    continue
                try:
                    return self._accept(answer, sought, period)
                except (IdentityError, DirectoryError) as error:
                    refusal = error
        raise refusal or DescriptorUnavailableError(tuple(reasons), unasked)

    def _accept(self, document: bytes, sought: Sought, period: int) -> Found:
        blinded = sought.blinded(period)
        found = self._judge.descriptor(
            document,
            sought,
            period,
            checks=self.checks(Scope.ACCEPT),
            highest_revision=self._pins.highest_revision(blinded),
            committed=self._keeper.snapshot.commitments.get((blinded, period)),
        )
        delegation = found.contents.delegation.delegation
        forget_at = (period + 2) * self._network.period_s
        self._pins.pin_revision(blinded, found.revision, forget_at)
        self._pins.pin_issued(delegation.account, delegation.issued)
        return found

    async def identity_key(self, account: Address) -> bytes:
        """Return the identity key that a listed account names, from the registry or a grant.

        Raises AddressUnknownError, and as `Circuits.open`.
        """
        listed = self._keeper.identities.identity_key(account)
        if listed is not None:
            return listed
        wall = self._environment.clock.wall()
        period = self._network.period(wall)
        key = grant_index(self._network.network_id, account.raw, period)
        left = set(self._keeper.ring(period).responsible(key))
        reasons: list[str] = []
        for _ in range(min(STORES_ASKED, len(left))):
            answer = await self._ask(Get(Kind.GRANT, key), left, reasons)
            if answer is None:
                continue
            try:
                return judge_grant(answer, account, self.checks(Scope.ACCEPT))
            except IdentityError as error:
                reasons.append(f"{type(error).__name__}: {error}")
        raise AddressUnknownError(f"{account} is not listed: {'; '.join(reasons)}")

    async def fetch(self, relay_id: bytes, get: Get) -> bytes:
        """Return the document that one relay answers over a circuit of ours (SPEC 6.5).

        Raises RoleError or ProtocolError, as subclasses: the relay cannot be asked, or has nothing.
        """
        reasons: list[str] = []
        document = await self._ask(get, {relay_id}, reasons)
        if document is None:
            raise RelayAnswerError(reasons[0])
        return document

    async def _ask(
        self, get: Get, left: set[bytes], reasons: list[str], care: Care = NO_CARE
    ) -> bytes | None:
        """Ask one of the stores in `left`, which is taken out of it; None when it has nothing."""
        plan = CircuitPlan(
            purpose=Purpose.CLIENT_DIRECTORY,
            level=ANONYMOUS,
            command=Command.DIR_GET,
            body=get.encode(),
            named=tuple(left),
            care=care,
        )
        try:
            circuit = await self._circuits.open(plan)
        except (CircuitFailedError, NoSafePathError) as error:
            reasons.append(str(error))
            return None
        left.discard(circuit.path[-1])
        try:
            with trio.fail_after(care.patience_s):
                answer = Answer.decode(await circuit.expect(Command.DIR_RECORD))
        except (CircuitClosedError, MalformedDocumentError, trio.TooSlowError) as error:
            reasons.append(str(error))
            return None
        finally:
            circuit.close()
        if answer.kind is not get.kind or answer.status is not Status.OK:
            reasons.append(answer.status.name)
            return None
        return answer.document
