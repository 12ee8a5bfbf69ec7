"""Which version two nodes speak: the highest that both ranges contain (SPEC 0).

A release speaks version N and N-1, so that a network can be updated node by node.
"""

from typing import NamedTuple

from peerstream.node.protocol.errors import LocalProtocolError, MalformedError, VersionError


class VersionRange(NamedTuple):
    """All versions from `lowest` to `highest`, both included; each is a u16 of at least 1."""

    lowest: int
    highest: int


LINK_VERSIONS = VersionRange(1, 1)


def negotiate(ours: VersionRange, theirs: VersionRange) -> int:
    """Return the highest version in both ranges.

    Raises MalformedError when `theirs` is no range and VersionError when the two do not meet.
    """
    if not _is_range(ours):
        raise LocalProtocolError(f"our own {ours} is no range of versions")
    if not _is_range(theirs):
        raise MalformedError(f"{theirs.lowest} to {theirs.highest} is no range of versions")
    common = min(ours.highest, theirs.highest)
    if common < max(ours.lowest, theirs.lowest):
        raise VersionError(
            f"we speak {ours.lowest} to {ours.highest}, they {theirs.lowest} to {theirs.highest}"
        )
    return common


def _is_range(versions: VersionRange) -> bool:
    return 1 <= versions.lowest <= versions.highest <= 0xFFFF
