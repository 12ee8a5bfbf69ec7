"""An honest client that comes to a relay for the first time, while others flood it."""

from typing import Final

import trio

from peerstream.node.ports import UnreachableError
from peerstream.node.protocol.circuit.bodies import encode_payload
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.circuit.origin import OriginCircuit
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.protocol.wire.command import Command
from peerstream.node.roles.circuit import OwnedCircuit
from peerstream.node.roles.errors import RoleError
from peerstream.node.roles.parts import NodeParts

CELL_CLASS: Final = 2
PATIENCE_S: Final = 10.0  # what an owner waits for a circuit


async def reach(parts: NodeParts, relay_id: bytes) -> float | None:
    """Dial a relay, open a circuit that ends there, and leave; the seconds, or None in vain."""
    started = trio.current_time()
    try:
        link = await parts.neighbours.dial(relay_id)
    except UnreachableError:
        return None
    try:
        with trio.fail_after(PATIENCE_S):
            await _open(parts, link, relay_id)
    except (RoleError, ProtocolError, trio.TooSlowError):
        return None
    finally:
        parts.neighbours.links.close(link)
    return trio.current_time() - started


async def _open(parts: NodeParts, link: Link, relay_id: bytes) -> None:
    clock, entropy = parts.environment.clock, parts.environment.entropy
    wall = clock.wall()
    owned = OwnedCircuit((relay_id,))
    hops = [parts.keeper.directory.hop(relay_id, wall)]
    circuit = OriginCircuit(link, hops, owner=owned, cell_class=CELL_CLASS, real_time=False)
    owned.attach(circuit)
    circuit.open(
        encode_payload(Command.OPEN, b""),
        bucket=parts.network.bucket(wall),
        entropy=entropy,
        now=clock.now(),
    )
    parts.neighbours.links.wake()
    await owned.ready()
    owned.close()
