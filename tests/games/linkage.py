"""The linkage game: who calls whom is drawn, and each relay in turn tries to tell it.

Two callers call two callees, once each, in a drawn order. The relays of one place are the same in
both calls, so that whoever stands there sees both. What is drawn:

    caller   which of the two makes the first call
    callee   which of the two it is for
    pair     whether both are the first of their kind: who talks with whom

A relay may know one of them: a guard its client, a store and a point whom they serve. It must not
tell the others better than a coin. Everything else is drawn anew or made alike: keys, points,
circuits and the order of their making are of the round; both calls carry as many bytes.
"""

import random

from peerstream.identity.delegation import Scope
from peerstream.node.protocol.directory.commands import Answer, Get, Kind
from peerstream.node.protocol.directory.lookup import Judge, Sought
from peerstream.node.protocol.rendezvous.publication import Point
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status
from tests.games.distinguisher import Distinguisher
from tests.games.view import Layout, Watch
from tests.node.protocol.parties import DAY
from tests.node.protocol.rendezvous.street import RECORDS, CalledParty, CallingParty, Street, settle

BOTH, CALLEE, CALLER = ("caller", "callee", "pair"), ("callee",), ("caller",)
PLACES = {  # who stands where: number of the relay, and what it must not tell
    2: {
        "caller's guard": (0, CALLEE),
        "caller's vanguard": (1, BOTH),
        "rendezvous point": (2, BOTH),
        "callee's middle": (5, BOTH),
        "callee's vanguard": (4, BOTH),
        "callee's guard": (3, CALLER),
        "introduction point": (6, CALLER),
        "middle before it": (12, BOTH),
        "store": (14, CALLER),
        "middle before the store": (13, BOTH),
    },
    1: {
        "caller's guard": (15, CALLEE),
        "meeting point": (9, CALLER),
        "callee's guard": (16, CALLER),
    },
}
POINTS = {2: 6, 1: 9}  # the numbers of those that are called, by level
CALLERS, CALLEES = ("Alice", "Alan"), ("Bob", "Berta")
BODY = 2_500  # bytes each way: three cells


class GameStreet(Street):
    """A street whose every place has a relay of its own, and whose lookups are circuits."""

    RELAYS = 17
    STORE = 14

    def __init__(self, level):
        self.watch = None
        super().__init__(level)

    def new_client(self, name):
        client = super().new_client(name)
        self.watch.names[client] = name
        return client

    def new_relay(self, number):
        self.watch = self.watch or Watch(self.network)
        relay = self.network.relay({Command.DIR_GET: self._get} if number == self.STORE else None)
        self.watch.names[relay.relay_id] = number
        return relay

    def _get(self, circuit, body):
        answer = self.store.answer_get(Get.decode(body), self.network.wall)
        circuit.answer(Status.OK)
        circuit.send_control(Command.DIR_RECORD, answer.encode())

    def looking_up(self):
        return [self.relays[number] for number in (0, 1, 13, 14)]

    def introducing(self, point, level):
        before = (15,) if level == 1 else (0, 1, 12)
        return [*(self.relays[number] for number in before), self.network.relays[point]]

    def answering(self, relay_id, level):
        before = (16,) if level == 1 else (3, 4, 5)
        return [*(self.relays[number] for number in before), self.network.relays[relay_id]]


class GameCaller(CallingParty):
    """Looks up over a circuit, and calls at the point that is watched."""

    cell_class = 1

    def __init__(self, street, name):
        super().__init__(street, name=name)
        self.point = None  # the relay_id of the point to call at

    def look_up(self):
        """At level 1 without a circuit: lookups are level 2 always, and played there."""
        if self.callee.level == 1:
            return super().look_up()
        callee, wall = self.callee.party, self.network.wall
        sought, period = Sought(callee.account, callee.identity.public), wall // DAY
        get = Get(Kind.RECORD, sought.blinded(period))
        owner = self.node.circuit(self.street.looking_up(), Command.DIR_GET, get.encode())
        self.network.run()
        document = Answer.decode(owner.take(Command.DIR_RECORD)[0]).document
        owner.circuit.close()
        checks = self.street.checks(Scope.ACCEPT)
        return Judge(RECORDS, self.street.directory).descriptor(
            document, sought, period, checks=checks, highest_revision=0
        )

    def choose(self, points):
        return self.point


class GameCallee(CalledParty):
    """Names three points, and stands at the one that is watched: the others are never called."""

    def _stand(self, relay_id, level):
        if relay_id == self.street.relays[POINTS[self.level]].relay_id:
            return super()._stand(relay_id, level)
        return Point(relay_id, self.network.entropy(32), level)


class LinkageGame:
    """Rounds at one level; `scores` by place and what was to be told."""

    def __init__(self, level, seed):
        self.level = level
        self.street = GameStreet(level)
        self.random = random.Random(seed)
        self.street.network.random.seed(seed)
        self.callers = {name: self.new_caller(name) for name in CALLERS}
        self.layouts = {place: Layout() for place in PLACES[level]}
        self.scores = {
            (place, secret): Distinguisher()
            for place, (_number, secrets) in PLACES[level].items()
            for secret in secrets
        }

    def new_caller(self, name):
        caller = GameCaller(self.street, name)
        caller.point = self.street.relays[POINTS[self.level]].relay_id
        return caller

    def play(self, rounds):
        with self.street.watch.inside():
            for _ in range(rounds):
                self._judge(self._round())

    def _round(self):
        """Two calls; what was drawn for them."""
        street = self.street
        street.watch.start(0)
        street.store = street.new_store()
        callees = {name: GameCallee(street, self.level, name) for name in self._drawn(CALLEES)}
        callers, names = self._drawn(CALLERS), self._drawn(CALLEES)
        for number, (caller, callee) in enumerate(zip(callers, names, strict=True)):
            street.watch.start(1 + number)
            self.call(self.callers[caller], callees[callee])
        first = callers[0] == CALLERS[0], names[0] == CALLEES[0]
        self._clear_away(callees.values())
        return {"caller": first[0], "callee": first[1], "pair": first[0] == first[1]}

    def _drawn(self, names):
        return self.random.sample(names, 2)

    def call(self, caller, callee):
        """One call, and bytes both ways."""
        caller.callee = callee
        ends = [caller.connect(self.level), *(end for end in callee.sessions.values())]
        number = ends[0].session.open_stream("files")
        for end in ends:
            end.session.send(number, caller.network.random.randbytes(BODY))
            settle(caller.network, ends, 1)
        settle(caller.network, ends, 1)
        assert all(len(end.session.receive(number, BODY)) == BODY for end in ends)
        ends[0].session.close(Status.FINISHED, caller.network.now)
        settle(caller.network, ends, 1)

    def _clear_away(self, callees):
        """Close what the round opened; nobody's name or number lasts into the next."""
        network = self.street.network
        for node in (*(each.node for each in callees), *(c.node for c in self.callers.values())):
            for circuit in node.circuits:
                circuit.close()
            node.circuits.clear()
        network.run()
        for link in [link for each in callees for link in each.node.links.values()]:
            network.cable(link).close()
        network.cables = [cable for cable in network.cables if not cable.cut]
        network.clients = [caller.node for caller in self.callers.values()]
        network.advance(1.0)

    def _judge(self, drawn):
        events = self.street.watch.events
        for place, (number, secrets) in PLACES[self.level].items():
            layout = self.layouts[place]
            view = layout.view(events[number])
            for secret in secrets:
                self.scores[place, secret].play(view, layout.width, drawn[secret])
