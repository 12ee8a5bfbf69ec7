"""What a hop does when the owner of a circuit asks for something (SPEC 4.7, 4.10, 4.11)."""

from collections.abc import Callable, Mapping
from typing import Final

from peerstream.node.protocol.circuit.bodies import (
    Introduction,
    IntroductionWait,
    Joining,
    Listening,
    Registration,
)
from peerstream.node.protocol.circuit.errors import CommandError, RegistrationSignatureError
from peerstream.node.protocol.circuit.introductions import Introductions
from peerstream.node.protocol.circuit.relay_circuit import Input, RelayCircuit
from peerstream.node.protocol.circuit.rendezvous import Rendezvous
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.sizes import CELL_SIZES, REPLY_MESSAGE_MAX
from peerstream.node.protocol.wire.status import Status

CommandHandler = Callable[[RelayCircuit, bytes], None]
_INTRO_CELL_MIN: Final = CELL_SIZES[1]  # an introduction is 3 cells there, 10 in class 0


class Commands:
    """Runs commands for all circuits of one relay.

    `directory` maps DIR_* commands to handlers; each must call `circuit.answer` once, now or
    later, and may then `circuit.send_control`. Every command here either answers, is ignored on
    purpose, or raises a RemoteProtocolError for its circuit to end with.
    """

    def __init__(self, directory: Mapping[Command, CommandHandler]) -> None:
        self.introductions = Introductions()
        self.rendezvous = Rendezvous()
        self._directory = directory
        # What any hop does, and what only the last one does.
        self._anywhere: dict[Command, CommandHandler] = {
            Command.PAD_DROP: lambda _circuit, _body: None,
            Command.ECHO: self._echo,
            Command.CLOSE: self._close,
        }
        self._at_end: dict[Command, CommandHandler] = {
            Command.OPEN: self._open,
            Command.INTRO_REGISTER: self._register,
            Command.INTRODUCE: self._introduce,
            Command.RDV_LISTEN: self._listen,
            Command.RDV_JOIN: self._join,
            Command.INTRODUCE_WAIT: self._introduce_wait,
            Command.PEER_LOST_SEEN: lambda circuit, _body: circuit.loss_seen(),
            **dict.fromkeys(directory, self._consult),
        }

    def run(self, circuit: RelayCircuit, command: Command, body: bytes) -> None:
        """Do what the owner asks; raises a RemoteProtocolError that ends the circuit."""
        handler = self._anywhere.get(command)
        if handler is None and circuit.down is None:
            handler = self._at_end.get(command)
        if handler is None:
            raise CommandError(f"{command.name} is not for this hop")
        circuit.commanded(command)
        handler(circuit, body)

    def _open(self, circuit: RelayCircuit, body: bytes) -> None:
        if body or not circuit.awaits_reply:
            raise CommandError("OPEN stands alone, in a SETUP")
        circuit.answer(Status.OK)

    def _echo(self, circuit: RelayCircuit, body: bytes) -> None:
        circuit.answer(Status.OK, body[:REPLY_MESSAGE_MAX])

    def _close(self, circuit: RelayCircuit, _body: bytes) -> None:
        self.rendezvous.finish(circuit)
        circuit.close()

    def _register(self, circuit: RelayCircuit, body: bytes) -> None:
        self._require(circuit, Input.REGISTER)
        if circuit.up.cell_size < _INTRO_CELL_MIN:
            circuit.answer(Status.CLASS)
            return
        try:
            registration = Registration.decode(body, circuit.binding)
        except RegistrationSignatureError:
            circuit.answer(Status.SIGNATURE)
            return
        circuit.advance(Input.REGISTER)
        self.introductions.register(circuit, registration, circuit.up.link.now)
        circuit.answer(Status.OK)
        self.introductions.deliver_held(circuit)

    def _introduce(self, circuit: RelayCircuit, body: bytes) -> None:
        self._require(circuit, Input.ANSWER)
        introduction = Introduction.decode(body)
        circuit.answer(self._introduced(circuit, introduction))

    def _introduced(self, circuit: RelayCircuit, introduction: Introduction) -> Status:
        now = circuit.up.link.now
        if not self.introductions.may_introduce(circuit, now):
            return Status.LIMIT
        return self.introductions.introduce(introduction, now)

    def _listen(self, circuit: RelayCircuit, body: bytes) -> None:
        self._require(circuit, Input.LISTEN)
        status = self.rendezvous.listen(circuit, Listening.decode(body), circuit.up.link.now)
        if status is Status.OK:
            circuit.advance(Input.LISTEN)
        circuit.answer(status)

    def _introduce_wait(self, circuit: RelayCircuit, body: bytes) -> None:
        self._require(circuit, Input.LISTEN)
        wanted = IntroductionWait.decode(body)
        now = circuit.up.link.now
        # Listen first: the service may join before this call returns.
        status = self.rendezvous.listen(circuit, Listening(wanted.cookie), now)
        if status is Status.OK:
            status = self._introduced(circuit, Introduction(wanted.auth_key, wanted.blob))
            if status is Status.OK:
                circuit.advance(Input.LISTEN)
            else:
                self.rendezvous.withdraw(circuit)
        circuit.answer(status)

    def _join(self, circuit: RelayCircuit, body: bytes) -> None:
        self._require(circuit, Input.JOIN)
        circuit.answer(self.rendezvous.join(circuit, Joining.decode(body)))

    def _consult(self, circuit: RelayCircuit, body: bytes) -> None:
        self._require(circuit, Input.CONSULT)
        circuit.advance(Input.CONSULT)
        self._directory[circuit.command](circuit, body)

    @staticmethod
    def _require(circuit: RelayCircuit, happened: Input) -> None:
        if not circuit.can(happened):
            raise CommandError(f"{circuit.command.name} while {circuit.state.value}")
