"""One path of a session: its keys, what is in flight, what it must acknowledge (SPEC 5.8).

A circuit delivers its cells in order or not at all, so one count acknowledges everything before it
and a path never resends on itself: what was on it when it died goes out on another.
"""

from collections import deque
from typing import Protocol

from peerstream.node.protocol.circuit.port import CellPort
from peerstream.node.protocol.session.cell import CellOpener, CellSealer
from peerstream.node.protocol.session.congestion import DelayWindow
from peerstream.node.protocol.session.errors import AcknowledgementError
from peerstream.node.protocol.session.frames import Ack

ACK_DELAY = 0.020
# An ACK is a whole cell through six relays. In a narrow window a quarter is one cell, and half of
# all cells would be ACKs; four that are acknowledged together also go on together.
ASK_CELLS = 4
SUSPECT_MIN = 0.4
SUSPECT_ROUND_TRIPS = 4
_RATE_UNIT = 1_000.0  # kB/s
_U32_MAX = 0xFFFF_FFFF
_NEVER = float("inf")


class Sent(Protocol):
    """Something that a cell carried and that must be told how the cell fared."""

    def acknowledged(self) -> None:
        """Note that the cell arrived."""

    def lost(self) -> None:
        """Note that the path died or fell silent before that was known."""


class Path:
    """One circuit under the session; times in seconds of the monotonic clock."""

    __slots__ = (
        "_ack_due", "_asked", "_last_arrival", "_moved_until", "_rate", "_rate_bytes",
        "_rate_since", "_records", "confirmed", "congestion", "curious", "heard", "in_flight",
        "last_sent", "level", "number", "opener", "port", "progress", "rekeyed_in", "rekeyed_out",
        "sealer", "suspect", "wants_ping",
    )  # fmt: skip

    def __init__(
        self,
        number: int,
        port: CellPort,
        keys: tuple[CellSealer, CellOpener],
        level: int,
        now: float,
    ) -> None:
        self.number = number
        self.port = port
        self.level = level
        self.sealer, self.opener = keys
        self.congestion = DelayWindow()
        self.confirmed = False  # a valid cell or blob came: data may go out
        self.suspect = False
        self.wants_ping = False
        self.in_flight = 0
        self.heard = now
        self.curious = False  # something came since we asked last whether the path is alive
        self.last_sent = now
        self.progress = now
        self.rekeyed_out = 0  # the last rekey that this direction switched to
        self.rekeyed_in = 0
        self._records: deque[tuple[int, float, list[Sent]]] = deque()
        self._moved_until = 0  # older cells' frames were already sent again elsewhere
        self._asked = 0
        self._last_arrival = now
        self._ack_due = _NEVER
        self._rate = 0.0
        self._rate_bytes = 0
        self._rate_since = now

    # sending

    def free(self) -> int:
        """How many cells may go out now."""
        return min(int(self.congestion.window) - self.in_flight, self.port.room())

    def asks_acknowledgement(self) -> bool:
        """Whether the next cell should ask for an ACK.

        It does when it ends a quarter of the window, four cells, or a window that is narrower.
        """
        if self.wants_ping:
            return True
        window = int(self.congestion.window)
        return self._asked + 1 >= min(window, max(ASK_CELLS, window // 4))

    def note_sent(self, sequence: int, items: list[Sent], now: float, *, asked: bool) -> None:
        """Account for a cell that the peer will acknowledge."""
        if not self._records:
            self.progress = now
        self._records.append((sequence, now, items))
        self.in_flight += 1
        self.last_sent = now
        self._asked = 0 if asked else self._asked + 1
        if asked:
            self.wants_ping = self.curious = False

    def acknowledge(self, ack: Ack, now: float) -> list[list[Sent]]:
        """Return the items of the cells that an ACK covers; raises AcknowledgementError."""
        if ack.cells > self.sealer.sequence:
            raise AcknowledgementError(f"{ack.cells} cells on path {self.number}")
        records, arrived = self._records, []
        limited = self.in_flight * 2 >= self.congestion.window
        sent_at = now
        while records and records[0][0] < ack.cells:
            _, sent_at, items = records.popleft()
            arrived.append(items)
        if arrived:
            self.in_flight -= len(arrived)
            self.progress = now
            self.suspect = False
            sample = now - sent_at - ack.held / 1e6
            self.congestion.acknowledged(len(arrived), sample, now, limited=limited)
        return arrived

    def take_unmoved(self) -> list[Sent]:
        """Return what is neither acknowledged nor handed out here before, oldest first."""
        first, self._moved_until = self._moved_until, self.sealer.sequence
        return [item for seq, _, items in self._records if seq >= first for item in items]

    def suspect_at(self) -> float:
        """When silence makes the path suspect; never while nothing is in flight."""
        if not self._records or self.suspect:
            return _NEVER
        return self.progress + max(SUSPECT_ROUND_TRIPS * self.congestion.round_trip, SUSPECT_MIN)

    # receiving

    def note_received(self, now: float, size: int, *, eliciting: bool, at_once: bool) -> None:
        """Account for a cell that opened."""
        self._rate_bytes += size
        self.heard = now
        if eliciting:
            self.curious = True
            self._last_arrival = now
            due = now if at_once else now + ACK_DELAY
            self._ack_due = min(self._ack_due, due)

    def ack_due(self) -> float:
        """When an ACK must go out."""
        return self._ack_due

    def take_ack(self, now: float) -> Ack | None:
        """Return the ACK to put into the next cell, if anything is owed."""
        return self.final_ack(now) if self._ack_due < _NEVER else None

    def final_ack(self, now: float) -> Ack:
        """Return the ACK of everything that came."""
        held = min(_U32_MAX, int((now - self._last_arrival) * 1e6))
        self._ack_due = _NEVER
        return Ack(self.number, self.opener.sequence, self._receive_rate(now), max(0, held))

    def _receive_rate(self, now: float) -> int:
        elapsed = now - self._rate_since
        if elapsed >= ACK_DELAY:
            self._rate = self._rate_bytes / elapsed / _RATE_UNIT
            self._rate_since, self._rate_bytes = now, 0
        return min(_U32_MAX, int(self._rate))
