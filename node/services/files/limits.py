"""Sizes, times and quotas of the service `file` (SPEC 11.1 and 11.5)."""

from dataclasses import dataclass
from typing import Final

PROMPT_S: Final = 60.0  # what a machine answers at once
PATIENT_S: Final = 600.0  # what waits for a person, or for a disk to read the whole file
PIECE_S: Final = 120.0  # for 262 144 bytes: below 2 kB/s
FAREWELL_S: Final = 10.0  # for a last acknowledgement that changes nothing any more

_GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a receiver takes. Bytes, or counts.

    file_bytes: in one file. sender_bytes: accepted of one address while the service runs.
    spare_bytes: left free on the disk. sender_parts: unfinished files kept of one address.
    files: at a time. sender_files: of one address at a time.
    """

    file_bytes: int = 64 * _GIB
    sender_bytes: int = 256 * _GIB
    spare_bytes: int = 256 << 20
    sender_parts: int = 16
    files: int = 8
    sender_files: int = 2
