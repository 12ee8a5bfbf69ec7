"""Several attempts at one thing, begun one a little after the other; one wins (SPEC 10.6).

As RFC 8305 does with addresses. Who loses is cancelled, and undone if it was ready as well.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

from peerstream.node.ports import PortError
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.roles.errors import CommandRefusedError, RoleError

T = TypeVar("T")


class Race(Generic[T]):
    """Up to `runners` attempts. `attempt`: makes one; `discard`: undoes one that came second."""

    def __init__(
        self, attempt: Callable[[], Awaitable[T]], discard: Callable[[T], None], runners: int
    ) -> None:
        self._attempt = attempt
        self._discard = discard
        self._runners = runners
        self._won: list[T] = []
        self._errors: list[Exception] = []

    async def run(self, stagger_s: float) -> T:
        """Return what the first attempt returns that does not fail.

        After a failure no further one begins: an attempt tries again by itself as long as that
        makes sense. Those that are under way still may succeed. Raises the error of the last one,
        a refusal before all others.
        """
        async with trio.open_nursery() as nursery:
            for _ in range(self._runners):
                nursery.start_soon(self._one, nursery.cancel_scope)
                await trio.sleep(stagger_s)
                if self._errors:
                    break
        if self._won:
            return self._won[0]
        refusals = [error for error in self._errors if isinstance(error, CommandRefusedError)]
        raise (refusals or self._errors)[-1]

    async def _one(self, scope: trio.CancelScope) -> None:
        try:
            result = await self._attempt()
        except (RoleError, ProtocolError, PortError) as error:
            self._errors.append(error)
            return
        if self._won:
            self._discard(result)
            return
        self._won.append(result)
        scope.cancel()
