"""Credits: nothing grows, nothing is lost, nothing stops."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from peerstream.node.protocol.circuit.leg import INITIAL_CREDITS
from peerstream.node.protocol.wire.sizes import CELL_SIZES
from tests.node.protocol.circuit.meeting import Meeting
from tests.node.protocol.circuit.memory_network import MemoryNetwork


def pump(owner, cells):
    """Send `cells` cells as room allows; returns how many are left, as a list of one number."""
    left = [cells]
    body = bytes(owner.circuit.cell_size)

    def on_room():
        while left[0] and owner.circuit.room():
            owner.send(body)
            left[0] -= 1

    owner.on_room = on_room
    on_room()
    return left


def test_a_hundred_megabytes_wait_at_the_sender_for_a_slow_reader():
    network = MemoryNetwork(1)
    meeting = Meeting(network)
    listener, joiner = meeting.meet()
    guard_cable = network.cable(joiner.circuit._link)
    guard_cable.blocked.add(joiner.circuit._link)  # it reads nothing
    cells = 100_000_000 // CELL_SIZES[2]
    left = pump(listener, cells)
    network.run()
    queued = [relay.queued() for relay in network.relays.values()]
    # What can be under way: the initial credits of 4 + 2 hops and the window of the stuck one.
    assert cells - left[0] <= 6 * INITIAL_CREDITS[2] + INITIAL_CREDITS[2] // 2 * 6
    assert max(queued) < 8_000_000
    assert 0 < sum(queued) < 8_000_000
    guard_cable.blocked.clear()
    left[0] = min(left[0], 500)
    network.run()
    assert left[0] == 0
    assert joiner.cell_count == len(joiner.cells) > 500


def test_a_slow_reader_does_not_slow_its_neighbours():
    network = MemoryNetwork(2)
    meeting = Meeting(network)
    slow, sender = meeting.meet()
    slow.circuit._leg.grant_at = 1 << 60  # takes its first window and grants nothing more
    other = MemoryNetworkPair(network, meeting)
    left_slow, left = pump(sender, 2_000), pump(other.joiner, 300)
    network.run()
    assert left_slow[0] > 0
    assert left[0] == 0
    assert other.listener.cell_count == 300


class MemoryNetworkPair:
    """A second splice over the very same relays and links."""

    def __init__(self, network, meeting):
        point = meeting.point
        meeting.point = network.relay()
        self.listener, self.joiner = meeting.meet()
        meeting.point = point


class CreditMachine(RuleBasedStateMachine):
    """Two endpoints, six links, random scheduling, blocked readers and random sending."""

    @initialize(seed=st.integers(0, 1_000), cell_class=st.sampled_from([0, 2]))
    def meet(self, seed, cell_class):
        self.network = MemoryNetwork(seed)
        self.meeting = Meeting(self.network, cell_class)
        self.owners = self.meeting.meet()
        for owner in self.owners:
            owner.keeps_cells = False
        self.sent = [0, 0]

    @rule(side=st.integers(0, 1), count=st.integers(1, 90))
    def send(self, side, count):
        owner = self.owners[side]
        for _ in range(min(count, owner.circuit.room())):
            owner.send(bytes(owner.circuit.cell_size))
            self.sent[side] += 1

    @rule(number=st.integers(0, 99), end=st.integers(0, 1))
    def block(self, number, end):
        cable = self.network.cables[number % len(self.network.cables)]
        cable.blocked.add(cable.ends[end])

    @rule()
    def unblock(self):
        for cable in self.network.cables:
            cable.blocked.clear()

    @rule(steps=st.integers(1, 5))
    def step(self, steps):
        for _ in range(steps):
            self.network.step()

    @rule(number=st.integers(0, 99), scale=st.sampled_from([1.0, 1.5, 4.0]))
    def scale(self, number, scale):
        links = [link for cable in self.network.cables for link in cable.ends]
        links[number % len(links)].credit_scale = scale

    @precondition(lambda self: any(self.sent))
    @rule()
    def drain(self):
        """Whatever happened before: everything sent arrives, and both may send again."""
        self.unblock()
        self.network.run()
        assert [owner.cell_count for owner in self.owners] == self.sent[::-1]
        assert all(owner.circuit.room() for owner in self.owners)
        assert all(relay.queued() == 0 for relay in self.network.relays.values())

    @invariant()
    def credits_hold(self):
        for cable in self.network.cables:
            assert not cable.errors
            for link in cable.ends:
                for leg in link._legs.values():
                    assert 0 <= leg.gone <= leg.received <= leg.granted
                    assert 0 <= leg.sent <= leg.allowed

    @invariant()
    def both_ends_of_a_link_agree(self):
        for cable in self.network.cables:
            near, far = cable.ends
            for circuit_id, leg in near._legs.items():
                twin = far._legs[circuit_id]
                assert twin.received <= leg.sent
                assert leg.allowed <= twin.granted

    @invariant()
    def nothing_is_held_beyond_the_windows(self):
        for cable in self.network.cables:
            for link in cable.ends:
                for leg in link._legs.values():
                    if leg.source is not None:
                        source = leg.source
                        assert len(leg.waiting) <= source.granted - source.gone


CreditMachine.TestCase.settings = settings(stateful_step_count=40)
TestCredits = CreditMachine.TestCase


def test_a_loss_under_load_keeps_the_other_credits_exact():
    network = MemoryNetwork(4)
    meeting = Meeting(network)
    listener, joiner = meeting.meet()
    cable = network.cable(listener.circuit._link)
    cable.blocked.add(listener.circuit._link)
    pump(joiner, 1_000)
    network.run()
    joiner.circuit.close()
    network.run()
    new = meeting.join(network.client(), path=[network.relay()])
    network.run()
    cable.blocked.clear()
    left = pump(new, 400)
    network.run()
    assert left[0] == 0
    assert new.reason is None
    for relay in network.relays.values():
        for link in relay.links:
            for leg in link._legs.values():
                assert leg.gone == leg.received
    assert listener.reason is None
