"""Calls as they come in: opened at once, answered in the order of their worth (SPEC 10.7, 12.7)."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from peerstream.node.ports import Environment, ReplayStore, StorageError
from peerstream.node.protocol.errors import RemoteProtocolError
from peerstream.node.protocol.onion.replay import ReplayFilter
from peerstream.node.protocol.rendezvous.ranking import ReceptionRules
from peerstream.node.protocol.rendezvous.reception import Invitation, Opened, Reception
from peerstream.node.protocol.rendezvous.waiting import WaitingRoom

STEP_S: Final = 0.05  # at least, between two looks at who may come in meanwhile


class Doorkeeper:
    """Lets calls of one service in. `rules`: those of the moment; `join`: what answers a call."""

    def __init__(
        self,
        environment: Environment,
        replay: ReplayStore,
        rules: Callable[[], ReceptionRules],
        join: Callable[[Invitation], Awaitable[None]],
    ) -> None:
        self._environment = environment
        self._replay = replay
        self._rules = rules
        self._join = join
        self.reception = Reception(self._load_replay(), environment.entropy)
        self.causes: Counter[str] = Counter()  # why calls were refused or ignored, by error class
        self._room: WaitingRoom[Opened] = WaitingRoom(environment.clock.now())
        self._nursery: trio.Nursery | None = None
        self._came = trio.Event()

    def _load_replay(self) -> ReplayFilter:
        found = ReplayFilter()
        for bucket, tags in self._replay.load_tags(self._environment.clock.wall()).items():
            found.load(bucket, tags)
        return found

    @property
    def waiting(self) -> int:
        """How many calls wait for their turn."""
        return len(self._room)

    def count(self, error: BaseException) -> None:
        """Note why a call came to nothing."""
        self.causes[type(error).__name__] += 1

    def tick(self) -> None:
        """Settle what strangers are asked for; call once a second."""
        lost = self._room.take_lost()
        if lost:
            self.causes["flood"] += lost
        self.reception.effort.update(lost, self._environment.clock.now())

    def introduced(self, auth_public: bytes, blob: bytes) -> None:
        """Take what came to the introduction point with this key of ours, 32 B."""
        try:
            opened = self.reception.open(auth_public, blob, self._rules())
        except RemoteProtocolError as error:
            self.count(error)  # silence is the answer
            return
        rank = opened.rank
        self._room.put(opened, rank.standing, rank.effort, self._environment.clock.now())
        self._serve()

    async def run(self) -> None:
        """Answer calls, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            while True:
                if not self._room:
                    self._came = trio.Event()
                    await self._came.wait()
                now = self._environment.clock.now()
                await trio.sleep(min(1.0, max(STEP_S, self._room.wait(now))))
                self._serve()

    def _serve(self) -> None:
        """Answer whoever's turn it is."""
        now = self._environment.clock.now()
        while self._nursery is not None and (opened := self._room.take(now)) is not None:
            self._nursery.start_soon(self._answer, opened)
        if self._room:
            self._came.set()

    async def _answer(self, opened: Opened) -> None:
        now = self._environment.clock.now
        began = now()
        try:
            invitation = self.reception.answer(opened, self._rules())
            self._replay.append_tag(invitation.record)
            if invitation.refusal is not None:
                self.count(invitation.refusal)
            await self._join(invitation)
        except (RemoteProtocolError, StorageError) as error:
            self.count(error)  # likewise
        finally:
            self._room.joined(now() - began, now())
            self._serve()
