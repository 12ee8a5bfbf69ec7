"""Anything in any order: circuits of every kind, cut links, passing time."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from peerstream.node.protocol.circuit.bodies import (
    Introduction,
    IntroductionWait,
    Joining,
    Listening,
)
from peerstream.node.protocol.circuit.origin import State as OriginState
from peerstream.node.protocol.circuit.relay_circuit import State
from peerstream.node.protocol.wire.command import Command
from tests.node.protocol.circuit.meeting import BLOB, register
from tests.node.protocol.circuit.memory_network import MemoryNetwork

PRIVATE = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(2)]
KEYS = [private.public_key().public_bytes_raw() for private in PRIVATE]
COOKIES = [bytes([n]) * 32 for n in range(3)]
BODIES = {
    Command.OPEN: lambda _: b"",
    Command.ECHO: bytes,
    Command.INTRO_REGISTER: lambda n: register(PRIVATE[n % 2]),
    Command.INTRODUCE: lambda n: Introduction(KEYS[n % 2], BLOB).encode(),
    Command.RDV_LISTEN: lambda n: Listening(COOKIES[n % 3], 60).encode(),
    Command.RDV_JOIN: lambda n: Joining(COOKIES[n % 3], bytes(2_048)).encode(),
    Command.INTRODUCE_WAIT: lambda n: IntroductionWait(KEYS[n % 2], COOKIES[n % 3], BLOB).encode(),
}
numbers = st.integers(0, 99)


class Chaos(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 1_000))
    def begin(self, seed):
        self.network = MemoryNetwork(seed)
        self.relays = [self.network.relay() for _ in range(4)]
        self.clients = [self.network.client() for _ in range(3)]
        self.owners = []

    @rule(command=st.sampled_from(sorted(BODIES)), path=st.permutations(range(4)), number=numbers)
    def open(self, command, path, number):
        hops = [self.relays[index] for index in path[: 1 + number % 3]]
        client = self.clients[number % 3]
        self.owners.append(client.circuit(hops, command, BODIES[command](number)))

    @rule(command=st.sampled_from(sorted(BODIES)), number=numbers)
    def open_and_run(self, command, number):
        client = self.clients[number % 3]
        path = [self.relays[1 + number % 3], self.relays[0]]
        self.owners.append(client.circuit(path, command, BODIES[command](number)))
        self.network.run()

    @rule(number=numbers)
    def meet(self, number):
        for command in (Command.RDV_LISTEN, Command.RDV_JOIN):
            self.open_and_run(command, number)

    @rule(steps=st.integers(1, 4))
    def step(self, steps):
        for _ in range(steps):
            self.network.step()

    @rule()
    def run(self):
        self.network.run()

    def living(self, number):
        alive = [o for o in self.owners if o.circuit.state is OriginState.OPEN]
        return alive[number % len(alive)] if alive else None

    @rule(number=numbers)
    def send(self, number):
        for owner in self.owners:
            for _ in range(min(number, owner.circuit.room())):
                if owner.circuit.state is OriginState.OPEN and owner.take(Command.JOINED):
                    owner.send(bytes(owner.circuit.cell_size))

    @rule(number=numbers, command=st.sampled_from(list(Command)), hop=st.integers(0, 9))
    def command(self, number, command, hop):
        owner = self.living(number)
        if owner is not None and number % 2:
            self.network.run()
        if owner is not None and owner.circuit.state is OriginState.OPEN:
            body = BODIES.get(command, lambda _: b"")(number)
            body = body(owner.circuit.binding) if callable(body) else body
            owner.circuit.send_control(command, body, hop % len(owner.circuit.path))

    @rule(number=numbers)
    def close(self, number):
        owner = self.living(number)
        if owner is not None:
            owner.circuit.close()

    @rule(number=numbers)
    def cut(self, number):
        if self.network.cables:
            cable = self.network.cables[number % len(self.network.cables)]
            cable.close()
            self.network.cables.remove(cable)

    @rule(seconds=st.sampled_from([1.0, 6.0, 25.0, 70.0]))
    def wait(self, seconds):
        self.network.advance(seconds)

    @invariant()
    def no_link_was_broken(self):
        for cable in self.network.cables:
            assert not cable.errors

    @invariant()
    def the_tables_of_a_relay_name_living_circuits(self):
        for relay in self.relays:
            core = relay.core
            desks, meetings = core._commands.introductions, core._commands.rendezvous
            assert set(desks._keys) <= core._circuits
            assert set(meetings._meetings) <= core._circuits
            for circuit in core._circuits:
                assert circuit.state is not State.CLOSED
                assert not circuit.up.closed
                has_key, meets = circuit in desks._keys, circuit in meetings._meetings
                assert has_key == (circuit.state is State.INTRO)
                assert meets == (circuit.state in {State.WAITING, State.JOINED, State.PARTED})

    @invariant()
    def every_owner_heard_one_thing(self):
        for owner in self.owners:
            heard = [owner.message is not None, owner.error is not None]
            assert sum(heard) <= 1
            assert owner.reason is None or owner.message is not None

    def teardown(self):
        for owner in self.owners:
            owner.circuit.close()
        self.network.run()
        self.network.advance(80.0)
        for relay in self.relays:
            assert relay.core.circuits == relay.core.cookies == relay.core.introduction_keys == 0
            assert relay.queued() == 0
            assert all(link.circuits == 0 for link in relay.links)


Chaos.TestCase.settings = settings(stateful_step_count=40, max_examples=60)
TestChaos = Chaos.TestCase
