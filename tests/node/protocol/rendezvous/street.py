"""A callee that is published and introduced in a `MemoryNetwork`, and callers that find it there.

All machines are the real ones; the driver here does what SPEC 12.1 says and nothing else.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peerstream.identity.delegation import DelegationChecks, Scope
from peerstream.identity.descriptor import Audience, RecordRules
from peerstream.node.protocol.circuit.bodies import Joining, Listening
from peerstream.node.protocol.directory.commands import Get, Kind, Put
from peerstream.node.protocol.directory.directory import Directory
from peerstream.node.protocol.directory.lookup import Judge, Sought
from peerstream.node.protocol.directory.relay_set import (
    NO_FAMILY,
    NO_SIGN_KEY,
    RelayEntry,
    RelayView,
)
from peerstream.node.protocol.directory.ring import Ring, RingRules
from peerstream.node.protocol.directory.store import DescriptorStore, StoreRules
from peerstream.node.protocol.onion.replay import ReplayFilter, bucket_of
from peerstream.node.protocol.rendezvous.call import (
    Call,
    CallTerms,
    State,
    agreed_class,
    agreed_level,
)
from peerstream.node.protocol.rendezvous.publication import Point, PublicationRules, Publisher
from peerstream.node.protocol.rendezvous.ranking import HeldSession, ReceptionRules
from peerstream.node.protocol.rendezvous.reception import Reception
from peerstream.node.protocol.session.admission import CalleePolicy, ServicePolicy
from peerstream.node.protocol.session.limits import SessionTerms
from peerstream.node.protocol.session.paths import Role
from peerstream.node.protocol.session.session import Session
from peerstream.node.protocol.wire.command import Command
from tests.node.protocol.circuit.meeting import register
from tests.node.protocol.circuit.memory_network import MemoryNetwork
from tests.node.protocol.directory.network import DEVNET, NETWORK, rules, seeded
from tests.node.protocol.parties import DAY, Party

EPOCH, ROOT = 3, b"\x0e" * 32
RECORDS = RecordRules(network_id=NETWORK)


def entry(number, relay_id):
    operator = number.to_bytes(20, "big")
    return RelayEntry(
        number, relay_id, operator, NO_FAMILY, 1_000, NO_SIGN_KEY, 1, EPOCH + 100, bytes(64)
    )


@dataclass
class End:
    """One end of a session, what happened at it, and the owner of its circuit."""

    session: Session
    log: list


class Street:
    """The network: its relays, their view, one of them a store, and where circuits lead."""

    RELAYS = 12
    STORE = 0  # its number

    def __init__(self, level):
        self.network = MemoryNetwork(12)
        self.relays = [self.new_relay(number) for number in range(self.RELAYS)]
        entries = tuple(entry(n, relay.relay_id) for n, relay in enumerate(self.relays))
        wall = self.network.wall
        self.view = RelayView(EPOCH, ROOT, entries, wall - DAY, wall + 2 * DAY)
        self.directory = Directory(rules())
        self.directory.add_view(self.view)
        self.store = self.new_store()
        self.callee = CalledParty(self, level)

    def new_relay(self, number):
        return self.network.relay()

    def new_client(self, name):
        return self.network.client()

    def new_store(self):
        period = self.network.wall // DAY
        ring = Ring.of_view(self.view, period, bytes(32), RingRules(1, len(self.relays)))
        rules = StoreRules(RECORDS, DEVNET.updates_per_hour, 1 << 20)
        store = DescriptorStore(self.relays[self.STORE].relay_id, rules)
        store.set_ring(ring)
        return store

    def checks(self, scope):
        return DelegationChecks(network_id=NETWORK, now=self.network.wall, required_scope=scope)

    # The relays of circuits, first hop first

    def listening(self):
        return self.relays[:3]

    def introducing(self, point, level):
        before = self.relays[1:2] if level == 1 else [*self.relays[:2], self.relays[5]]
        return [*before, self.network.relays[point]]

    def answering(self, relay_id, level):
        before = self.relays[3:6] if level == 2 else self.relays[3:4]
        return [*before, self.network.relays[relay_id]]


class CalledParty:
    """The callee: points that stand, a descriptor at the store, a reception, its sessions."""

    def __init__(self, street, level, name="callee"):
        self.street, self.network, self.level = street, street.network, level
        self.party = Party(name)
        self.node = street.new_client(name)
        self.reception = Reception(ReplayFilter(), self.network.entropy)
        self.sessions = {}
        self.causes = []
        self.circuits = {}
        self.publisher = Publisher(
            self.party.identity,
            self.party.signed,
            Audience(),
            PublicationRules(
                network_id=NETWORK, period_s=DAY, record_life_s=10_800, key_life_s=21_600,
                key_overlap_s=10_800, updates_per_hour=20, minimum_level=level,
                accepts_early=False, accepts_anonymous=True, cell_classes=(1, 2),
            ),
            entropy=self.network.entropy,
        )  # fmt: skip
        self.stand_and_publish()

    def stand_and_publish(self):
        levels = (2, 2, 2, 1, 1, 1) if self.level == 1 else (2, 2, 2)
        places = zip(self.street.relays[6:], levels, strict=False)
        points = tuple(self._stand(relay.relay_id, level) for relay, level in places)
        self.network.run()
        assert all(owner.message == b"" for owner in self.circuits.values())
        wall = self.network.wall
        self.publisher.tick(wall)
        self.publisher.set_points(points, wall)
        self.reception.serve(self.publisher)
        for period in self.publisher.due(wall):
            made = self.publisher.make(period, (EPOCH, ROOT), wall, floor=0)
            self.street.store.put(Put(Kind.RECORD, made.record), wall)

    def _stand(self, relay_id, level):
        private = Ed25519PrivateKey.from_private_bytes(self.network.entropy(32))
        path = self.street.answering(relay_id, 2)
        owner = self.node.circuit(path, Command.INTRO_REGISTER, register(private))
        point = Point(relay_id, private.public_key().public_bytes_raw(), level)
        self.circuits[point.auth_public] = owner
        return point

    def rules(self):
        policy = CalleePolicy(self.level, self, {"files": ServicePolicy(anonymous=False)})
        return ReceptionRules(
            policy=policy,
            checks=self.street.checks(Scope.DIAL),
            is_device_revoked=lambda _account, _device: False,
            held=self._held,
        )

    def _held(self, session_id):
        end = self.sessions.get(session_id)
        return None if end is None else HeldSession(end.session.resume_key, self.level)

    # as Views

    def roots(self):
        return {EPOCH: ROOT}

    def knows(self, relay_id):
        return relay_id in self.street.view

    def admits(self, relay_id, descriptor):
        return False

    # what the driver of a callee does

    def serve(self):
        """Open what came to each point and join where it says."""
        for auth_public, owner in self.circuits.items():
            for blob in owner.take(Command.INTRODUCTION):
                self._introduced(auth_public, blob)
            owner.controls.clear()

    def _introduced(self, auth_public, blob):
        try:
            invitation = self.reception.receive(auth_public, blob, self.rules())
        except Exception as error:  # noqa: BLE001 - silence, told to the test
            self.causes.append(error)
            return
        request = invitation.request
        owner = self.node.circuit(
            self.street.answering(request.relay_id, invitation.level),
            Command.RDV_JOIN,
            Joining(request.cookie, invitation.message2).encode(),
            cell_class=request.cell_class,
        )
        self.network.run()
        if invitation.call is None:
            self.causes.append(invitation.refusal)
            owner.circuit.close()
        elif invitation.call.resumes:
            end = self.sessions.pop(invitation.call.resumes)
            end.session.resume(invitation.call.secrets, self.network.now)
            self._attach(end, invitation.call.first_path, owner, invitation.level)
        else:
            end = new_end(
                self.network, Role.CALLEE, invitation.call.secrets, invitation.level, b"callee"
            )
            self._attach(end, 0, owner, invitation.level)

    def _attach(self, end, number, owner, level):
        self.sessions[end.session.session_id] = end
        attach(self.network, end, number, owner, level)


class CallingParty:
    """A caller: looks up, listens, introduces, and has a session in the end."""

    cell_class = 2

    def __init__(self, street, *, anonymous=False, name="caller"):
        self.street, self.network = street, street.network
        self.callee = street.callee
        self.party = Party(name)
        self.node = street.new_client(name)
        self.identity = None if anonymous else self.party.named()

    def look_up(self):
        callee, wall = self.callee.party, self.network.wall
        sought = Sought(callee.account, callee.identity.public)
        period = wall // DAY
        document = self.street.store.get(Get(Kind.RECORD, sought.blinded(period)), wall)
        judge = Judge(RECORDS, self.street.directory)
        return judge.descriptor(
            document, sought, period, checks=self.street.checks(Scope.ACCEPT), highest_revision=0
        )

    def begin(self, wanted=2, resume=None):
        """A call, the circuit that listens (level 2), and its level."""
        found = self.look_up()
        level = agreed_level(wanted, found.contents)
        cell_class = agreed_class(self.cell_class, found.contents)
        cookie, listener = self.draw_cookie(), None
        if level == 2:
            listener = self.node.circuit(
                self.street.listening(), Command.RDV_LISTEN, Listening(cookie).encode(),
                cell_class=cell_class,
            )  # fmt: skip
            self.network.run()
        terms = CallTerms(
            network_id=NETWORK, blinded=found.blinded, period=found.period, epoch=EPOCH, root=ROOT,
            level=level, cell_class=cell_class, bucket=bucket_of(self.network.wall), cookie=cookie,
            service="" if resume else "files",
        )  # fmt: skip
        call = Call(
            found.contents, terms, wall=self.network.wall, entropy=self.network.entropy,
            identity=self.identity, resume=resume,
        )  # fmt: skip
        return call, listener, level

    def draw_cookie(self):
        return self.network.entropy(32)

    def choose(self, points):
        """The point to try; those of a call are in random order."""
        return points[0]

    def introduce(self, call, level):
        """One introduction at the next point; the circuit it went over."""
        point = self.choose(call.points)
        if level == 1:
            body, command = call.introduce(point, point), Command.INTRODUCE_WAIT
        else:
            body = call.introduce(point, self.street.listening()[-1].relay_id)
            command = Command.INTRODUCE
        path = self.street.introducing(point, level)
        owner = self.node.circuit(path, command, body, cell_class=self.cell_class)
        self.network.run()
        if owner.error is None:
            call.passed_on(self.network.now)
        else:
            call.refused(owner.error.status.name)
        return owner

    def dial(self, wanted=2, resume=None):
        """Call until the callee joined; the secrets, the circuit and the level."""
        call, listener, level = self.begin(wanted, resume)
        while True:
            circuit = self.introduce(call, level)
            self.callee.serve()
            self.network.run()
            listening = listener or circuit
            if listening.take(Command.JOINED):
                accepted = call.joined(listening.take(Command.JOINED)[0])
                return accepted, listening, level
            if call.state is State.WAITING:
                self.network.advance(call.deadline - self.network.now)
                call.tick(self.network.now)

    def connect(self, wanted=2):
        accepted, owner, level = self.dial(wanted)
        end = new_end(self.network, Role.CALLER, accepted.secrets, level, b"caller")
        attach(self.network, end, 0, owner, level)
        return end


def new_end(network, role, secrets, level, seed):
    session = Session(role, secrets, SessionTerms(level), now=network.now, entropy=seeded(seed))
    return End(session, [])


def attach(network, end, number, owner, level):
    session = end.session
    session.add_path(number, owner.circuit, level, network.now)
    owner.cell_received = lambda buffer: session.receive_cell(number, buffer, network.now)
    owner.closed = lambda _reason: session.path_lost(number, network.now)


def settle(network, ends, rounds=6):
    for _ in range(rounds):
        network.now += 0.02
        for end in ends:
            end.session.tick(network.now)
            end.session.pump(network.now)
            end.log.extend(end.session.events())
        network.run()
