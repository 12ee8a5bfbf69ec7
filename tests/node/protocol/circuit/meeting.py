"""A client and a service that meet in a `MemoryNetwork`."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peerstream.node.protocol.circuit.bodies import Joining, Listening, Registration
from peerstream.node.protocol.wire.command import Command

BLOB = bytes(range(256)) * 35 + bytes(224)
COOKIE = b"c" * 32
PASS_NAME = b"p" * 32


def register(private, rate=600, burst=16, pass_name=PASS_NAME):
    """The body of an INTRO_REGISTER, as a function of the circuit's binding."""
    key = private.public_key().public_bytes_raw()
    return lambda binding: Registration(key, pass_name, rate, burst).encode(private, binding)


class Meeting:
    """A client and a service on the two sides of a splice, with disjoint paths."""

    def __init__(self, network, cell_class=2, *, real_time=False):
        self.network = network
        self.point, self.intro = network.relay(), network.relay()
        self.client_path = [network.relay() for _ in range(2)]
        self.service_path = [network.relay() for _ in range(3)]
        self.client, self.service = network.client(), network.client()
        self.cell_class, self.real_time = cell_class, real_time

    def listen(self):
        return self.client.circuit(
            [*self.client_path, self.point],
            Command.RDV_LISTEN,
            Listening(COOKIE).encode(),
            cell_class=self.cell_class,
            real_time=self.real_time,
        )

    def join(self, side=None, blob=bytes(2048), path=None):
        return (side or self.service).circuit(
            [*(path or self.service_path), self.point],
            Command.RDV_JOIN,
            Joining(COOKIE, blob).encode(),
            cell_class=self.cell_class,
            real_time=self.real_time,
        )

    def meet(self):
        listener = self.listen()
        self.network.run()
        joiner = self.join()
        self.network.run()
        assert listener.message == joiner.message == b""
        return listener, joiner


PRIVATE = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
KEY = PRIVATE.public_key().public_bytes_raw()


def relays(network, count):
    return [network.relay() for _ in range(count)]


def circuit(network, path, *arguments, **options):
    owner = network.client().circuit(path, *arguments, **options)
    network.run()
    return owner


def everybody_forgot(network):
    assert [relay.core.circuits for relay in network.relays.values()] == [0] * len(network.relays)
    assert all(link.circuits == 0 for cable in network.cables for link in cable.ends)
