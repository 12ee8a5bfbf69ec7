"""Tickets: who was served before is served before strangers (SPEC 12.7).

    ticket    = serial 8 || HMAC(ticket key, "psp/ticket/1" || serial || pass)[0:8] || pass 32
    pass name = HMAC(pass, "psp/pass/1" || auth key)

A ticket travels where only the callee reads it. The pass, which contacts get, names a door at each
introduction point that strangers do not know of; two points see nothing in common.
"""

import hmac
from collections.abc import Callable
from enum import IntEnum
from struct import Struct
from typing import Final

from peerstream.identity import labels

PASS_SIZE: Final = 32
NO_PASS: Final = bytes(PASS_SIZE)
TICKETS_EACH: Final = 2  # in one answer: the call that uses one up brings the next
LIFE_S: Final = 7 * 86_400
USED_MAX: Final = 65_536  # then a new key, and nobody's tickets count
_SERIAL: Final = Struct(">II")  # unix second of issue, number
_TAG_SIZE: Final = 8


class Standing(IntEnum):
    """In which order callers are served."""

    STRANGER = 0  # by effort
    KNOWN = 1  # was served before
    FIRST = 2  # a contact, or goes on with a session


class Tickets:
    """Those of one service, while it runs: its keys are never stored."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._key = entropy(32)
        self._number = 0
        self._used: set[bytes] = set()
        self.contact_pass = entropy(PASS_SIZE)

    def issue(self, *, to_contact: bool, wall: int) -> tuple[bytes, ...]:
        """Return new tickets of 48 bytes; those for contacts have our pass in them."""
        given = self.contact_pass if to_contact else NO_PASS
        return tuple(self._make(given, wall) for _ in range(TICKETS_EACH))

    def _make(self, given: bytes, wall: int) -> bytes:
        self._number = (self._number + 1) % (1 << 32)
        serial = _SERIAL.pack(wall % (1 << 32), self._number)
        return serial + self._tag(serial, given) + given

    def _tag(self, serial: bytes, given: bytes) -> bytes:
        return hmac.digest(self._key, labels.TICKET + serial + given, "sha256")[:_TAG_SIZE]

    def use(self, ticket: bytes, wall: int) -> Standing:
        """Take a ticket and say whose it is: a stranger's when it is none of ours, over, or used.

        It counts once, from here on: else one ticket would bring in whoever has a copy.
        """
        serial, tag, given = ticket[:8], ticket[8:16], ticket[16:]
        if not hmac.compare_digest(self._tag(serial, given), tag) or serial in self._used:
            return Standing.STRANGER
        issued, _ = _SERIAL.unpack(serial)
        if not issued <= wall < issued + LIFE_S:
            return Standing.STRANGER
        if len(self._used) >= USED_MAX:
            self._key = self._entropy(32)
            self._used.clear()
        self._used.add(serial)
        return Standing.KNOWN if given == NO_PASS else Standing.FIRST


def pass_in(ticket: bytes) -> bytes:
    """Return the pass in a ticket, 32 B, or b"" when there is none, or no ticket."""
    given = ticket[16:]
    return b"" if given == NO_PASS else given


def pass_name(contact_pass: bytes, auth_key: bytes) -> bytes:
    """Return under which name, 32 B, who holds a pass is introduced at the point of a key."""
    return hmac.digest(contact_pass, labels.PASS + auth_key, "sha256")
