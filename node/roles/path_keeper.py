"""Looks after the paths of one session that we called: a second one, a new call (SPEC 10.6)."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import trio

from peerstream.identity.errors import IdentityError
from peerstream.node.ports import Clock, PortError
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.protocol.session.frames import AddPath
from peerstream.node.protocol.session.multipath import Need
from peerstream.node.protocol.wire.command import Command
from peerstream.node.roles.circuits import Care
from peerstream.node.roles.dialler import Dialler, Wish
from peerstream.node.roles.errors import CircuitClosedError, RoleError
from peerstream.node.roles.sessions import SessionDriver

if TYPE_CHECKING:
    from peerstream.node.roles.pool import Listener

JOIN_S: Final = 12.0
HURRY_S: Final = 6.0  # so long calls that resume are in a hurry; then as long, half as much
AGAIN_S: Final = 0.2  # between those
PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # behind each of those that follow
OFFER_PAUSES_S: Final = (2.0, 8.0, 30.0)  # between offers of a path
ANONYMOUS: Final = 2
_PASSING: Final = (RoleError, ProtocolError, PortError, IdentityError)


class PathKeeper:
    """Does what the session needs of its caller, one thing at a time, as one task.

    One thing at a time, because a call that resumes begins above all numbers that were used.
    """

    def __init__(self, driver: SessionDriver, wish: Wish, dialler: Dialler, clock: Clock) -> None:
        """`wish`: the call that made the session, without a service."""
        self._driver = driver
        self._now = clock.now
        # Not below the level reached, whatever the callee asks for now.
        level = max(wish.dialling.level, driver.peer.level)
        self._wish = replace(wish, dialling=replace(wish.dialling, level=level))
        self._dialler = dialler
        self._offered: dict[int, Listener] = {}
        driver.on_refused = self._refused

    async def run(self) -> None:
        """Look after it until it is over."""
        driver = self._driver
        while driver.alive:
            match driver.need:
                case Need.RESUME:
                    await self._resume()
                case Need.PATH:
                    await self._while_needed(Need.PATH)
                case Need.NOTHING:
                    await driver.need_changed(Need.NOTHING)

    # A new call

    async def _resume(self) -> None:
        """Call again until the session has a path that answers, or is over.

        What still hangs on its old paths is given up only when the call was answered: they may
        come back to life before that.
        """
        driver, patient, began = self._driver, 0, self._now()
        while driver.need is Need.RESUME:
            factor = _factor(self._now() - began)
            await self._call(Care.hurry(driver.suspects(), driver.patience_s * factor, began))
            pause_s = AGAIN_S
            if math.isinf(factor):
                pause_s = PAUSES_S[min(patient, len(PAUSES_S) - 1)]
                patient += 1
            with trio.move_on_after(pause_s):
                await driver.need_changed(Need.RESUME)

    async def _call(self, care: Care) -> None:
        driver = self._driver
        wish = replace(self._wish, resume=driver.session.resume_ticket(), care=care)
        try:
            dialled = await self._dialler.dial(wish)
        except _PASSING:
            return  # every reason may pass; the session itself says when it is too late
        driver.resume(dialled.accepted.secrets, dialled.circuit, dialled.level)

    # A second path

    async def _while_needed(self, need: Need) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._offer_until_joined, nursery.cancel_scope)
            await self._driver.need_changed(need)
            nursery.cancel_scope.cancel()

    async def _offer_until_joined(self, scope: trio.CancelScope) -> None:
        tries = 0
        while True:
            try:
                await self._offer()
            except (*_PASSING, trio.TooSlowError):
                await trio.sleep(OFFER_PAUSES_S[min(tries, len(OFFER_PAUSES_S) - 1)])
                tries += 1
            else:
                scope.cancel()
                return

    async def _offer(self) -> None:
        """Listen elsewhere, over another guard, and have the callee join there."""
        driver, session = self._driver, self._driver.session
        cell_class = self._wish.dialling.cell_class
        listener = await self._dialler.pool.listen(cell_class, Care(driver.relays))
        number = session.allocate_path()
        self._offered[number] = listener
        joined = False
        try:
            circuit = listener.circuit
            session.offer_path(
                AddPath(number, circuit.path[-1], listener.cookie, cell_class, ANONYMOUS)
            )
            driver.touch()
            with trio.fail_after(JOIN_S):
                blob = await circuit.expect(Command.JOINED)
            session.open_join_blob(blob, number)
            if not session.awaits_path(number):
                raise CircuitClosedError("a rekey overtook the path, or there are too many")
            driver.attach(number, circuit, ANONYMOUS)
            joined = True
        finally:
            del self._offered[number]
            if not joined:
                listener.circuit.close()

    def _refused(self, number: int) -> None:
        listener = self._offered.get(number)
        if listener is not None:
            listener.circuit.close()


def _factor(elapsed_s: float) -> float:
    """Return by how much more than at first a path is waited for, so long after calls began."""
    if elapsed_s < HURRY_S:
        return 1.0
    return 2.0 if elapsed_s < 2 * HURRY_S else math.inf
