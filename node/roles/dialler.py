"""From an address to a circuit that is spliced with it: descriptor, level, call (SPEC 10.6)."""

from dataclasses import dataclass, field, replace
from typing import Final

import trio

from peerstream.node.protocol.directory.lookup import Found, Sought
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.protocol.onion.replay import bucket_of
from peerstream.node.protocol.rendezvous.call import (
    PRIVATE,
    Call,
    CallTerms,
    agreed_class,
    agreed_level,
)
from peerstream.node.protocol.rendezvous.errors import CallError, LevelUnavailableError
from peerstream.node.protocol.session.caller import CallAccepted, CallerIdentity, ResumeSession
from peerstream.node.protocol.session.errors import CallRefusedError, HandshakeError
from peerstream.node.protocol.wire.sizes import COOKIE_SIZE
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.calling import Calling, Joined
from peerstream.node.roles.circuit import OwnedCircuit
from peerstream.node.roles.circuits import NO_CARE, Care
from peerstream.node.roles.errors import (
    CallDeniedError,
    CallFailedError,
    CircuitClosedError,
    DescriptorUnavailableError,
    IdentityRequiredError,
    RoleError,
)
from peerstream.node.roles.favours import NO_FAVOUR, Favour, Favours
from peerstream.node.roles.identity import LocalIdentity, Target
from peerstream.node.roles.lookups import Lookups
from peerstream.node.roles.parts import NodeParts
from peerstream.node.roles.pool import Listener, ListenerPool
from peerstream.node.roles.tasks import bare_errors

ANONYMOUS: Final = 2
DEFAULT_CLASS: Final = 2
DESCRIPTORS_MAX: Final = 1_024  # kept; the oldest is fetched again
TRIES_MAX: Final = 3
PAUSES_S: Final = (0.3, 0.7)
TRY_AGAIN_S: Final = 30.0  # after so long a dial ends with the call that it is in


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialling:
    """How to dial: level 1 or 2, named or not, cells of which class, apart from whom.

    isolation: streams with another value share no session, circuit or descriptor with ours.
    """

    level: int = 2
    anonymous: bool = False
    cell_class: int = DEFAULT_CLASS
    isolation: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Wish:
    """One call that somebody wants: whom, for which service ("": any), how; what it resumes.

    `early`: the first bytes of the first stream, which travel with the call (SPEC 5.2). `care`:
    for the circuits; whoever is in a hurry tries once, by the descriptor that is there.
    """

    target: Target
    service: str
    dialling: Dialling
    resume: ResumeSession | None = field(default=None, repr=False)
    early: bytes = field(default=b"", repr=False)
    care: Care = NO_CARE


@dataclass(frozen=True, slots=True)
class _Known:
    """For whom a descriptor was fetched: a callee may show each reader another one."""

    target: Target
    anonymous: bool
    isolation: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Dialled:
    """A circuit that is spliced with the callee's, the secrets with it, the level reached."""

    accepted: CallAccepted
    circuit: OwnedCircuit
    level: int


class Dialler:
    """Calls addresses. `identity`: who calls, may be replaced; None calls anonymously only."""

    def __init__(self, parts: NodeParts, identity: LocalIdentity | None) -> None:
        self._parts = parts
        self._environment = parts.environment
        self.identity = identity
        self.lookups = Lookups(parts)
        self.pool = ListenerPool(parts.environment, parts.circuits, DEFAULT_CLASS)
        self._favours = Favours(parts.environment)
        self._descriptors: dict[_Known, Found] = {}
        self._doubted: set[_Known] = set()
        self._swept_at = 0  # unix seconds: expiries are whole ones

    async def dial(self, wish: Wish) -> Dialled:
        """Call an address; again, by a fresh descriptor and listener, when nobody answered.

        Raises IdentityRequiredError, DescriptorUnavailableError, CallDeniedError, CallFailedError,
        an IdentityError or DirectoryError for a descriptor that does not hold, and as
        `Circuits.open`.
        """
        if self.identity is None and not wish.dialling.anonymous:
            raise IdentityRequiredError("to call under a name")
        started, tries, pauses = self._environment.clock.now(), 0, iter(PAUSES_S)
        while True:
            tries += 1
            try:
                return await self._try(wish, tries)
            except CallRefusedError as error:
                wish = self._stricter(wish, error)
            except (CallError, HandshakeError, RoleError) as error:
                self._consider(wish, error, is_last=self._is_last(wish, tries, started))
                # What died just now is being replaced at the callee, too; our rendezvous point is.
                if not isinstance(error, CircuitClosedError):
                    await trio.sleep(next(pauses))

    def _consider(self, wish: Wish, error: ProtocolError | RoleError, *, is_last: bool) -> None:
        """Doubt the descriptor, where it may be why; raise when another try cannot help."""
        match error:
            case CallError() | HandshakeError():
                self._doubt(wish)
            case CircuitClosedError():
                pass
            case DescriptorUnavailableError() if error.unasked and not is_last:
                return
            case _:
                raise error
        if is_last or isinstance(error, LevelUnavailableError):
            raise CallFailedError(f"{wish.target.account}: {error}") from error

    def _is_last(self, wish: Wish, tries: int, started: float) -> bool:
        late = self._environment.clock.now() - started > TRY_AGAIN_S
        return late or tries >= (1 if wish.care.hurried else TRIES_MAX)

    def _stricter(self, wish: Wish, error: CallRefusedError) -> Wish:
        """Return the wish that may follow a refusal. Raises CallDeniedError when there is none."""
        self._forget(wish)
        if error.refusal is not Status.LEVEL or wish.dialling.level != PRIVATE:
            raise CallDeniedError(error.refusal) from error
        # The address takes level 1 and this service does not: the stricter wish wins.
        return replace(wish, dialling=replace(wish.dialling, level=ANONYMOUS))

    async def look_up(self, target: Target, dialling: Dialling) -> int:
        """Return when the descriptor of an address ends, in unix seconds: it is fetched if need be.

        Raises DescriptorUnavailableError, or why the descriptor does not hold.
        """
        return (await self._descriptor(Wish(target, "", dialling))).expiry

    async def _try(self, wish: Wish, tries: int) -> Dialled:
        found, listener = await self._prepare(wish)
        level = agreed_level(wish.dialling.level, found.contents)
        favour = await self._favour(wish, found, tries - 1)
        joined = await self._join(wish, found, level, listener, favour)
        if not wish.dialling.anonymous:
            self._favours.keep(wish.target, joined.accepted.answer.tickets)
        return Dialled(joined.accepted, joined.circuit, level)

    async def _favour(self, wish: Wish, found: Found, tries: int) -> Favour:
        """Return what makes the callee hear us: a ticket if we have one, else what it asks for.

        A session that goes on need not solve anything.
        """
        if not wish.dialling.anonymous and (ticket := self._favours.ticket(wish.target)):
            return Favour(ticket=ticket)
        if found.contents.puzzle is None or wish.resume is not None:
            return NO_FAVOUR
        return Favour(puzzle=await self._favours.solve(found.contents.puzzle, tries))

    def _forget(self, wish: Wish) -> None:
        """Ask for the descriptor anew at the next call: this one may be out of date."""
        self._descriptors.pop(_known(wish), None)

    def _doubt(self, wish: Wish) -> None:
        """Ask anew, but if the call was in a hurry, fall back on this one: stores may be slow."""
        if wish.care.hurried:
            self._doubted.add(_known(wish))
        else:
            self._forget(wish)

    async def _prepare(self, wish: Wish) -> tuple[Found, Listener | None]:
        """Find the descriptor and listen at a rendezvous point, both at once."""
        listener: Listener | None = None

        async def listen() -> None:
            nonlocal listener
            listener = await self.pool.take(wish.dialling.cell_class, wish.care)

        with bare_errors():
            async with trio.open_nursery() as nursery:
                if wish.dialling.level != PRIVATE:
                    nursery.start_soon(listen)
                found = await self._descriptor(wish)
        return found, listener

    async def _descriptor(self, wish: Wish) -> Found:
        target, known = wish.target, _known(wish)
        self._drop_expired()
        found = self._descriptors.get(known)
        if found is not None and known not in self._doubted:
            return found
        sought = Sought(target.account, target.identity_key, target.contact_secret)
        try:
            newer = await self.lookups.descriptor(sought, wish.care)
        except (RoleError, ProtocolError):
            if found is None:
                raise
            return found
        self._doubted.discard(known)
        self._descriptors[known] = newer
        if len(self._descriptors) > DESCRIPTORS_MAX:
            self._descriptors.pop(next(iter(self._descriptors)))
        return newer

    def _drop_expired(self) -> None:
        wall = self._environment.clock.wall()
        if wall == self._swept_at:
            return
        self._swept_at = wall
        for known in [known for known, found in self._descriptors.items() if found.expiry <= wall]:
            del self._descriptors[known]
        self._doubted &= self._descriptors.keys()

    async def _join(
        self, wish: Wish, found: Found, level: int, listener: Listener | None, favour: Favour
    ) -> Joined:
        cell_class = agreed_class(wish.dialling.cell_class, found.contents)
        environment, circuits = self._environment, self._parts.circuits
        if level == PRIVATE:
            cookie = environment.entropy(COOKIE_SIZE)
            call = self._new_call(wish, found, (level, cell_class), cookie, favour)
            calling = Calling(call, circuits, environment, cell_class, wish.care)
            return await calling.at_level_1()
        if listener is None or listener.circuit.port.cell_class != cell_class:
            listener = await self.pool.take(cell_class, wish.care)
        call = self._new_call(wish, found, (level, cell_class), listener.cookie, favour)
        calling = Calling(call, circuits, environment, cell_class, wish.care)
        try:
            return await calling.at_level_2(listener)
        except BaseException:
            listener.circuit.close()
            raise

    def _new_call(
        self, wish: Wish, found: Found, agreed: tuple[int, int], cookie: bytes, favour: Favour
    ) -> Call:
        """`agreed`: level and cell class."""
        wall = self._environment.clock.wall()
        view = self._parts.keeper.directory.view(wall)
        terms = CallTerms(
            network_id=self._parts.network.network_id,
            blinded=found.blinded,
            period=found.period,
            epoch=view.epoch,
            root=view.root,
            level=agreed[0],
            cell_class=agreed[1],
            bucket=bucket_of(wall),
            cookie=cookie,
            service=wish.service,
            early=wish.early if found.contents.accepts_early else b"",
            patience_s=wish.care.patience_s,
            next_s=wish.care.stagger_s,
            puzzle=favour.puzzle,
            ticket=favour.ticket,
        )
        return Call(
            found.contents,
            terms,
            wall=wall,
            entropy=self._environment.entropy,
            identity=None if wish.dialling.anonymous else self._caller(),
            resume=wish.resume,
        )

    def _caller(self) -> CallerIdentity | None:
        identity = self.identity
        return (
            None if identity is None else CallerIdentity(identity.chain.encode(), identity.device)
        )


def _known(wish: Wish) -> _Known:
    return _Known(wish.target, wish.dialling.anonymous, wish.dialling.isolation)
