"""Which stream numbers the peer used (SPEC 5.7)."""

from peerstream.node.protocol.session.errors import StreamNumberError

AHEAD = 1_024  # numbers not seen yet below the highest: cells overtake on paths


class PeerNumbers:
    """The peer's numbers: every second one, each used once, in nearly any order."""

    __slots__ = ("_gaps", "highest")

    def __init__(self, below: int) -> None:
        """below: two less than the first number."""
        self.highest = below
        self._gaps: set[int] = set()

    def take(self, number: int) -> bool:
        """Use a number of the peer's; False when it was used before. Raises StreamNumberError."""
        highest = self.highest
        if number == 0 or number > highest + 2 * AHEAD:
            raise StreamNumberError(f"stream {number} is absurd")
        if number <= highest and number not in self._gaps:
            return False
        self._gaps.discard(number)
        if number > highest:
            self._gaps.update(range(highest + 2, number, 2))
            self.highest = number
        if len(self._gaps) > AHEAD:
            raise StreamNumberError("too many stream numbers were left out")
        return True
