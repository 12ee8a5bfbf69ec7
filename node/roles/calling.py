"""One call, driven: circuits for its introductions, the callee's answer (SPEC 10.6, 12.3)."""

import math
from dataclasses import dataclass, replace

import trio

from peerstream.node.ports import Environment
from peerstream.node.protocol.directory.errors import NoSafePathError
from peerstream.node.protocol.directory.paths import Purpose
from peerstream.node.protocol.rendezvous.call import PRIVATE, Call, State
from peerstream.node.protocol.rendezvous.errors import NoAnswerError
from peerstream.node.protocol.session.caller import CallAccepted
from peerstream.node.protocol.wire.command import Command
from peerstream.node.roles.circuit import OwnedCircuit
from peerstream.node.roles.circuits import Care, CircuitPlan, Circuits
from peerstream.node.roles.errors import CircuitClosedError, CircuitFailedError, CommandRefusedError
from peerstream.node.roles.pool import Listener
from peerstream.node.roles.tasks import bare_errors

ANONYMOUS = 2


@dataclass(frozen=True, slots=True)
class Joined:
    """A call that was answered: the circuit is spliced with the callee's."""

    accepted: CallAccepted
    circuit: OwnedCircuit


class Calling:
    """Runs one `Call`: at level 2 over a listener, at level 1 by introductions that listen.

    Both ways raise NoAnswerError, CallRefusedError, BadMessageError, MalformedMessageError, and as
    `Circuits.open`.
    """

    def __init__(
        self,
        call: Call,
        circuits: Circuits,
        environment: Environment,
        cell_class: int,
        care: Care,
    ) -> None:
        self._call = call
        self._circuits = circuits
        self._now = environment.clock.now
        self._cell_class = cell_class
        # One at a time, each with a message of its own; what is held up may still be passed on.
        self._care = replace(care, patience_s=care.patience_s / 2, stagger_s=math.inf)

    async def at_level_2(self, listener: Listener) -> Joined:
        """Introduce until the callee joins at the listener.

        Raises CircuitClosedError when the rendezvous point went away.
        """
        outcome: bytes | None = None
        failure: NoAnswerError | None = None

        async def introduce(scope: trio.CancelScope) -> None:
            nonlocal failure
            try:
                await self._introduce(listener.circuit.path[-1])
            except NoAnswerError as error:
                failure = error
                scope.cancel()

        with bare_errors():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(introduce, nursery.cancel_scope)
                outcome = await listener.circuit.expect(Command.JOINED)
                nursery.cancel_scope.cancel()
        if outcome is None:
            raise failure or CircuitClosedError("the rendezvous point closed the circuit")
        return Joined(self._call.joined(outcome), listener.circuit)

    async def _introduce(self, rendezvous: bytes) -> None:
        """Try one introduction point after the other until NoAnswerError, or cancelled."""
        while True:
            began = self._now()
            circuit = await self._open(Command.INTRODUCE, rendezvous)
            if circuit is None:
                continue
            circuit.close()
            self._call.passed_on(self._now(), self._now() - began)
            await self._let_pass()

    async def _let_pass(self) -> None:
        while self._call.state is State.WAITING:
            await trio.sleep(max(0.0, self._call.deadline - self._now()))
            self._call.tick(self._now())

    async def at_level_1(self) -> Joined:
        """Introduce and listen at one meeting point after the other."""
        while True:
            circuit = await self._open(Command.INTRODUCE_WAIT, None)
            if circuit is None:
                continue
            self._call.passed_on(self._now())
            blob = await self._join_at(circuit)
            if blob is not None:
                return Joined(self._call.joined(blob), circuit)
            circuit.close()

    async def _join_at(self, circuit: OwnedCircuit) -> bytes | None:
        with trio.move_on_after(max(0.0, self._call.deadline - self._now())):
            try:
                return await circuit.expect(Command.JOINED)
            except CircuitClosedError:
                self._call.deadline = self._now()
        self._call.tick(self._now())
        return None

    async def _open(self, command: Command, rendezvous: bytes | None) -> OwnedCircuit | None:
        """Return the circuit over which an introduction was passed on; None when it was refused.

        `rendezvous` None: the introduction point itself is the meeting place.
        """
        call = self._call
        plan = CircuitPlan(
            purpose=Purpose.CLIENT_INTRODUCTION,
            level=ANONYMOUS if rendezvous is not None else PRIVATE,
            command=command,
            body=lambda point, _binding: call.introduce(point, rendezvous or point),
            named=call.points,
            cell_class=self._cell_class,
            attempts=1,  # the call counts them: each is an introduction of its own
            detours=0,
            care=self._care,
        )
        try:
            return await self._circuits.open(plan)
        except CommandRefusedError as error:
            call.refused(error.status.name)
        except CircuitFailedError as error:
            if call.state is not State.INTRODUCING:
                raise
            if error.unreached:
                call.unreached(str(error))
            else:
                call.refused(str(error))
        except NoSafePathError as error:
            call.none_safe(str(error))
        return None
