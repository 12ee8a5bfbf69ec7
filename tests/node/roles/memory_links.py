"""An internet in memory: `Links` for many nodes in one process, under trio's MockClock.

Each node joins with its key and endpoints. `MemoryInternet.run` moves bytes as the real driver
does: one wake-up of a node takes what has arrived, lets its owner have one turn, then sends.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import trio

from peerstream.node.ports import Answer, LinkOwner, QuestionError, UnreachableError
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.directory.subnets import Endpoint
from peerstream.node.protocol.errors import RemoteProtocolError

BUDGET = 65_507
IN_FLIGHT_MAX = 16_777_216
TICK_S = 0.25
DIAL_TIMEOUT_S = 5.0
QUESTION_TIMEOUT_S = 10.0
QUESTION_MAX = 20_484
QUESTIONS_AT_ONCE = 64


class CableCutError(Exception):
    """The connection under a link ended without a breach by either side."""


@dataclass(eq=False)
class Cable:
    """The connection of two nodes: one link at each end, bytes in between."""

    nodes: tuple["MemoryLinks", "MemoryLinks"]
    links: tuple[Link, Link]
    delay: float
    cut: bool = False
    stalled: bool = False  # bytes are taken and do not arrive, until it is False again
    in_flight: list[int] = field(default_factory=lambda: [0, 0])
    held: list[tuple[int, bytes]] = field(default_factory=list)
    carried: int = 0

    def end(self, link: Link) -> int:
        return self.links.index(link)


class MemoryLinks:
    """The links of one node; implements `peerstream.node.ports.Links`."""

    def __init__(
        self,
        internet: "MemoryInternet",
        relay_id: bytes,
        owner: LinkOwner,
        endpoints: set[Endpoint],
    ) -> None:
        self._internet = internet
        self._relay_id = relay_id
        self.owner = owner
        self.endpoints = endpoints
        self.cables: dict[bytes, Cable] = {}
        self.arrived: list[tuple[Cable, int, bytes]] = []
        self.dirty: dict[Link, Cable] = {}
        self.answer: Answer | None = None
        self.answering = 0
        self.asked = 0
        self.dead = False
        self.frozen = False
        self._dials: dict[bytes, trio.Event] = {}

    @property
    def relay_id(self) -> bytes:
        return self._relay_id

    # As Links

    async def dial(self, relay_id: bytes, endpoints: Sequence[Endpoint]) -> Link:
        while True:
            cable = self.cables.get(relay_id)
            if cable is not None and not cable.cut:
                return cable.links[cable.nodes.index(self)]
            dialing = self._dials.get(relay_id)
            if dialing is None:
                break
            await dialing.wait()
        done = self._dials[relay_id] = trio.Event()
        try:
            return await self._dial(relay_id, endpoints)
        finally:
            del self._dials[relay_id]
            done.set()

    async def _dial(self, relay_id: bytes, endpoints: Sequence[Endpoint]) -> Link:
        self._internet.dials[self._relay_id, relay_id] += 1
        other = await self._internet.reach(self, relay_id, endpoints, DIAL_TIMEOUT_S)
        cable = self.cables.get(relay_id)
        if cable is None or cable.cut:  # the other may have dialled us meanwhile
            cable = self._internet.connect(self, other)
        return cable.links[cable.nodes.index(self)]

    def close(self, link: Link) -> None:
        for cable in self.cables.values():
            if link in cable.links:
                self._internet.cut_soon(cable, CableCutError("closed"))
                return

    async def ask(
        self, relay_id: bytes, endpoints: Sequence[Endpoint], question: bytes, limit: int
    ) -> bytes:
        try:
            with trio.fail_after(QUESTION_TIMEOUT_S):
                other = await self._internet.reach(self, relay_id, endpoints, QUESTION_TIMEOUT_S)
                return await self._ask(other, question, limit)
        except trio.TooSlowError as error:
            raise QuestionError("no whole answer in time") from error

    async def _ask(self, other: "MemoryLinks", question: bytes, limit: int) -> bytes:
        other.asked += 1
        if other.answer is None or other.answering >= QUESTIONS_AT_ONCE:
            raise QuestionError("not served")
        if len(question) > QUESTION_MAX:
            raise QuestionError("the stream was cut")
        other.answering += 1
        try:
            answer = await other.answer(self._relay_id, question)
        except RemoteProtocolError as error:
            raise QuestionError("the stream was cut") from error
        finally:
            other.answering -= 1
        await trio.sleep(2 * self._internet.delay_between(self._relay_id, other.relay_id))
        if other.dead or len(answer) > limit:
            raise QuestionError("cut, or too long")
        return answer

    def serve(self, answer: Answer) -> None:
        self.answer = answer

    def wake(self) -> None:
        self._internet.woken(self)

    # What the internet calls

    def output_ready(self, link: Link, cable: Cable) -> None:
        self.dirty[link] = cable
        self._internet.woken(self)

    def wake_up(self, now: float) -> None:
        """Take what has arrived, have one turn, send."""
        arrived, self.arrived = self.arrived, []
        for cable, end, data in arrived:
            cable.in_flight[end] -= len(data)
            self._internet.window_opened(cable, end)
            if not cable.cut:
                self._receive(cable, end, data, now)
        self.owner.turn(now)
        while self.dirty:
            link = next(iter(self.dirty))
            cable = self.dirty.pop(link)
            self._send(link, cable)

    def _receive(self, cable: Cable, end: int, data: bytes, now: float) -> None:
        link = cable.links[end]
        try:
            link.receive_data(memoryview(data), now)
        except RemoteProtocolError as error:
            self._internet.cut_soon(cable, error, breached=end)

    def _send(self, link: Link, cable: Cable) -> None:
        end = 1 - cable.end(link)
        while not cable.cut and cable.in_flight[end] < IN_FLIGHT_MAX:
            data = b"".join(link.data_to_send(BUDGET))
            if not data:
                return
            cable.in_flight[end] += len(data)
            cable.carried += len(data)
            self._internet.transmit(cable, end, data)

    def tick(self, now: float) -> None:
        for cable in list(self.cables.values()):
            end = cable.nodes.index(self)
            link = cable.links[end]
            link.tick(now)
            if link.failure is not None:
                self._internet.cut_soon(cable, link.failure, breached=end)


class MemoryInternet:
    """Nodes, the cables between them, and what goes wrong with either.

    delay: seconds one way, for all pairs that `delays` does not name. refusing: relay_ids whose
    nodes refuse connections; hanging: those that accept them and say nothing.
    """

    def __init__(self, *, delay: float = 0.0) -> None:
        self.delay = delay
        self.delays: dict[frozenset[bytes], float] = {}
        self.refusing: set[bytes] = set()
        self.hanging: set[bytes] = set()
        self.nodes: dict[bytes, MemoryLinks] = {}
        self.cables: dict[Cable, None] = {}
        self.dials: dict[tuple[bytes, bytes], int] = _Counts()
        self._woken: dict[MemoryLinks, None] = {}
        self._transit: list[tuple[float, int, Cable, int, bytes]] = []
        self._cuts: list[tuple[Cable, BaseException, int | None]] = []
        self._order = count()
        self._changed = trio.Event()

    def join(
        self, relay_id: bytes, owner: LinkOwner, endpoints: Sequence[Endpoint] = ()
    ) -> MemoryLinks:
        """Return the links of a new node, reachable at `endpoints`; replaces one of that id."""
        if relay_id in self.nodes:
            self.kill(relay_id)
        node = MemoryLinks(self, relay_id, owner, set(endpoints))
        self.nodes[relay_id] = node
        return node

    def kill(self, relay_id: bytes) -> None:
        """Take a node away as kill -9 does: its neighbours notice, it does not."""
        node = self.nodes.pop(relay_id)
        node.dead = True
        for cable in list(node.cables.values()):
            self.cut_soon(cable, CableCutError("killed"))

    def freeze(self, relay_id: bytes) -> None:
        """Stop a node as SIGSTOP does: connections stand and are accepted, nothing comes back."""
        node = self.nodes[relay_id]
        node.frozen = True
        self.hanging.add(relay_id)
        for cable in node.cables.values():
            cable.stalled = True

    def cut(self, one: bytes, other: bytes) -> None:
        """Break the connection of two nodes; they may dial again."""
        self.cut_soon(self.cable(one, other), CableCutError("cut"))

    def stall(self, one: bytes, other: bytes, *, stalled: bool = True) -> None:
        """Let nothing arrive between two connected nodes, or let it arrive again."""
        cable = self.cable(one, other)
        cable.stalled = stalled
        if not stalled:
            held, cable.held = cable.held, []
            for end, data in held:
                self.transmit(cable, end, data)

    def cable(self, one: bytes, other: bytes) -> Cable:
        return self.nodes[one].cables[other]

    def delay_between(self, one: bytes, other: bytes) -> float:
        return self.delays.get(frozenset((one, other)), self.delay)

    # What nodes call

    async def reach(
        self, node: MemoryLinks, relay_id: bytes, endpoints: Sequence[Endpoint], patience: float
    ) -> MemoryLinks:
        """Return the node that listens there under that key, three delays later."""
        await trio.sleep(3 * self.delay_between(node.relay_id, relay_id))
        if relay_id in self.hanging:
            await trio.sleep(patience)
            raise UnreachableError("no answer in time")
        other = self.nodes.get(relay_id)
        if node.dead or other is None or other is node or relay_id in self.refusing:
            raise UnreachableError("refused")
        if not other.endpoints.intersection(endpoints):
            raise UnreachableError("nobody of that key listens there")
        return other

    def connect(self, near: MemoryLinks, far: MemoryLinks) -> Cable:
        now = trio.current_time()
        old = far.cables.get(near.relay_id)
        if old is not None:
            self._cut(old, CableCutError("replaced"), None)
        links = (
            near.owner.make_link(dialer=True, peer=far.relay_id, now=now),
            far.owner.make_link(dialer=False, peer=near.relay_id, now=now),
        )
        delay = self.delay_between(near.relay_id, far.relay_id)
        cable = Cable((near, far), links, delay)
        self.cables[cable] = None
        near.cables[far.relay_id] = far.cables[near.relay_id] = cable
        for node, link in zip(cable.nodes, links, strict=True):
            link.on_output = lambda each, node=node: node.output_ready(each, cable)
            node.output_ready(link, cable)
        return cable

    def transmit(self, cable: Cable, end: int, data: bytes) -> None:
        if cable.stalled:
            cable.held.append((end, data))
            return
        due = trio.current_time() + cable.delay
        heapq.heappush(self._transit, (due, next(self._order), cable, end, data))
        self._changed.set()

    def window_opened(self, cable: Cable, end: int) -> None:
        source = cable.nodes[1 - end]
        link = cable.links[1 - end]
        if link.has_output and not cable.cut:
            source.output_ready(link, cable)

    def woken(self, node: MemoryLinks) -> None:
        if not node.dead and not node.frozen:
            self._woken[node] = None
            self._changed.set()

    def cut_soon(self, cable: Cable, error: BaseException, *, breached: int | None = None) -> None:
        self._cuts.append((cable, error, breached))
        self._changed.set()

    # The driver

    async def run(self) -> None:
        """Move bytes and let time pass, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tick)
            nursery.start_soon(self._move)

    async def _tick(self) -> None:
        while True:
            await trio.sleep(TICK_S)
            for node in list(self.nodes.values()):
                if not node.frozen:
                    node.tick(trio.current_time())
                    self.woken(node)

    async def _move(self) -> None:
        while True:
            self._changed = trio.Event()
            if self._step(trio.current_time()):
                await trio.lowlevel.checkpoint()
                continue
            due = self._transit[0][0] if self._transit else float("inf")
            with trio.move_on_at(due):
                await self._changed.wait()

    def _step(self, now: float) -> bool:
        """Give everybody one wake-up who has a reason for it; whether anybody had."""
        cuts, self._cuts = self._cuts, []
        for cable, error, breached in cuts:
            self._cut(cable, error, breached)
        while self._transit and self._transit[0][0] <= now:
            _due, _order, cable, end, data = heapq.heappop(self._transit)
            node = cable.nodes[end]
            node.arrived.append((cable, end, data))
            self.woken(node)
        woken, self._woken = self._woken, {}
        for node in woken:
            if not node.dead and not node.frozen:
                node.wake_up(now)
        return bool(cuts or woken)

    def _cut(self, cable: Cable, error: BaseException, breached: int | None) -> None:
        """End a cable at both ends; only the end that was `breached` learns by what."""
        if cable.cut:
            return
        cable.cut = True
        del self.cables[cable]
        for end, (node, link) in enumerate(zip(cable.nodes, cable.links, strict=True)):
            other = cable.nodes[1 - end]
            if node.cables.get(other.relay_id) is cable:
                del node.cables[other.relay_id]
            node.dirty.pop(link, None)
            if not node.dead:
                link.close()
                why = error if breached in {None, end} else CableCutError("lost")
                node.owner.link_closed(link, other.relay_id, why)
                self.woken(node)


class _Counts(dict[tuple[bytes, bytes], int]):
    def __missing__(self, key: tuple[bytes, bytes]) -> int:
        return 0
