"""Links of a relay to other relays, made before a circuit needs them (SPEC 10.4).

A dial costs six round trips, which the first circuit over it would wait for, and whoever sees the
two relays connect learns when that circuit began.
"""

from typing import Final

import trio

from peerstream.node.ports import Environment, UnreachableError
from peerstream.node.roles.keeper import DirectoryKeeper
from peerstream.node.roles.neighbours import Neighbours
from peerstream.node.roles.pace import varied

LINKS_MAX: Final = 64  # with relays; in a larger network the others are dialled when needed
PAUSE_S: Final = 1.0  # between two dials
REST_S: Final = 5.0  # when there is nobody to dial
AGAIN_S: Final = 120.0  # until a relay is tried again that could not be reached


class LinksAhead:
    """Dials relays of the directory one by one, those with a larger id than ours.

    Of two relays one does, so that dials do not cross. `relay_id`: ours, 32 bytes.
    """

    def __init__(
        self,
        environment: Environment,
        neighbours: Neighbours,
        keeper: DirectoryKeeper,
        relay_id: bytes,
    ) -> None:
        self._environment = environment
        self._neighbours = neighbours
        self._keeper = keeper
        self._relay_id = relay_id
        self._failed: dict[bytes, float] = {}

    async def run(self) -> None:
        """Keep dialling, until cancelled; not at once, while the directory is being fetched."""
        await trio.sleep(varied(REST_S, self._environment.entropy))
        while True:
            relay_id = self._draw()
            pause_s = PAUSE_S if relay_id is not None else REST_S
            await trio.sleep(varied(pause_s, self._environment.entropy))
            if relay_id is not None and relay_id not in self._neighbours.relays:
                await self._dial(relay_id)

    def _draw(self) -> bytes | None:
        """Return a relay that there is no link to."""
        wall, now = self._environment.clock.wall(), self._environment.clock.now()
        directory, linked = self._keeper.directory, self._neighbours.relays
        if not directory.usable(wall) or len(linked) >= LINKS_MAX:
            return None
        self._failed = {relay: until for relay, until in self._failed.items() if until > now}
        missing = [
            relay
            for relay in directory.candidates(wall)
            if relay > self._relay_id and relay not in linked and relay not in self._failed
        ]
        if not missing:
            return None
        return missing[int.from_bytes(self._environment.entropy(8), "big") % len(missing)]

    async def _dial(self, relay_id: bytes) -> None:
        try:
            await self._neighbours.dial(relay_id)
        except UnreachableError as error:
            self._keeper.count(error)
            self._failed[relay_id] = self._environment.clock.now() + AGAIN_S
