"""Guards of two parties that share no relay, so that hops can be counted (SPEC 14.5).

In a network of twelve two nodes have the same primary guard once in twelve times, by chance and for
months. That is not defended (SPEC 6.9), and would show five relays where there are six hops.
"""

from collections.abc import Sequence
from typing import Final

from peerstream.node.protocol.directory.guards import GuardState, Term

PARTIES: Final = 2
_GUARDS: Final = slice(0, 3)
_LIVE: Final = slice(3, 5)
_VANGUARDS: Final = slice(2, 6)
_NEEDED: Final = PARTIES * _VANGUARDS.stop
_LIFE_S: Final = 60 * 86_400


def parted_guards(
    network_id: bytes, relay_ids: Sequence[bytes], party: int, wall: int
) -> GuardState | None:
    """Return what a party (0 or 1) starts with, from its half of the relays.

    None in a network of fewer than twelve relays, which is too small to part.
    """
    if len(relay_ids) < _NEEDED:
        return None
    half = sorted(relay_ids)[party::PARTIES]
    terms = [Term(relay_id, wall + _LIFE_S) for relay_id in half]
    return GuardState(
        network_id,
        guards=tuple(terms[_GUARDS]),
        live_guards=tuple(terms[_LIVE]),
        vanguards=tuple(terms[_VANGUARDS]),
    )
