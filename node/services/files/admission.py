"""How much is taken, from one address and at a time (SPEC 11.5)."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from peerstream.identity.address import Address
from peerstream.node.services.files.errors import BusyError, QuotaError
from peerstream.node.services.files.limits import Limits

FILE_COST: Final = 4_096  # an inode and a block: a million empty files are not free


class Place:
    """One file that is being received. `missing`: bytes of it that did not arrive yet."""

    def __init__(self, size: int) -> None:
        self.missing = size


class Admission:
    """Counts what arrives while a service runs.

    Its memory grows by one number for each address of which the policy accepted a file: slower
    than the disk, which gets the file.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._bytes: Counter[Address] = Counter()
        self._files: Counter[Address] = Counter()

    @contextmanager
    def place(self, sender: Address, size: int) -> Iterator[Place]:
        """Hold a place for a file of `size` bytes; what stays missing is given back.

        Raises BusyError, QuotaError.
        """
        limits = self.limits
        if self._files.total() >= limits.files or self._files[sender] >= limits.sender_files:
            raise BusyError("too many files are arriving")
        if self._bytes[sender] + size + FILE_COST > limits.sender_bytes:
            raise QuotaError(f"{size} bytes more than this address may send")
        place = Place(size)
        self._files[sender] += 1
        self._bytes[sender] += size + FILE_COST
        try:
            yield place
        finally:
            self._bytes[sender] -= place.missing
            self._files -= Counter([sender])
