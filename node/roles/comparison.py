"""Whether we were shown the same descriptors as others (SPEC 6.5)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import trio

from peerstream.node.ports import Environment
from peerstream.node.protocol.directory.commands import Get, Kind, epoch_key
from peerstream.node.protocol.directory.dir_hash import (
    ANSWERS_WANTED,
    PAGE_PAIRS,
    disputed,
    read_directory_page,
)
from peerstream.node.protocol.directory.directory import Directory
from peerstream.node.protocol.directory.errors import MalformedDocumentError, ViewMismatchError
from peerstream.node.protocol.directory.merkle import CAPACITY
from peerstream.node.protocol.directory.weights import iterate_weighted
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.roles.errors import RoleError

DRAWS_MAX: Final = 9  # a relay that cannot be reached is replaced by another draw
_PAGES_MAX: Final = CAPACITY // PAGE_PAIRS

Fetch = Callable[[bytes, Get], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many relays answered, how many of them have our hash, and what we gave up for it."""

    answers: int
    equal: int
    disputed: frozenset[bytes]


async def compare_directory(
    environment: Environment, directory: Directory, fetch: Fetch
) -> Comparison:
    """Compare with three weighted-random relays; distrust descriptors most of them have otherwise.

    ``await fetch(relay_id, get)`` returns the document that a relay answers over a circuit of ours
    and raises RoleError or ProtocolError. Raises ViewMismatchError when fewer than three answered.
    """
    wall = environment.clock.wall()
    epoch = directory.key_epoch(wall)
    own = directory.directory_hash(epoch)
    answers: dict[bytes, bytes] = {}
    for relay_id in _drawn(environment, directory, wall):
        if len(answers) >= ANSWERS_WANTED:
            break
        try:
            answers[relay_id] = await fetch(relay_id, Get(Kind.DIRECTORY_HASH, epoch_key(epoch)))
        except (RoleError, ProtocolError):
            continue  # unreachable, or not willing: another one is drawn
    equal = sum(answer == own for answer in answers.values())
    if len(answers) < ANSWERS_WANTED:
        raise ViewMismatchError(f"only {len(answers)} relays could be compared with")
    if 2 * equal > len(answers):
        return Comparison(len(answers), equal, frozenset())
    found = await _find_disputed(directory, epoch, list(answers), fetch)
    for relay_id in found:
        directory.distrust(relay_id, epoch)
    return Comparison(len(answers), equal, frozenset(found))


def _drawn(environment: Environment, directory: Directory, wall: int) -> list[bytes]:
    candidates = list(directory.candidates(wall).values())
    weights = [candidate.weight for candidate in candidates]
    drawn = iterate_weighted(candidates, weights, environment.entropy)
    return [candidate.relay_id for _, candidate in zip(range(DRAWS_MAX), drawn, strict=False)]


async def _find_disputed(
    directory: Directory, epoch: int, relays: list[bytes], fetch: Fetch
) -> set[bytes]:
    """Relays whose descriptor most of the others hold differently, from the others' pairs."""
    own = directory.descriptor_hashes(epoch)
    others: list[dict[bytes, bytes]] = []

    async def read(relay_id: bytes) -> None:
        try:
            others.append(await _read_pairs(relay_id, epoch, fetch))
        except (RoleError, ProtocolError):
            return  # it answered once and not again: it counts for nothing

    async with trio.open_nursery() as nursery:
        for relay_id in relays:
            nursery.start_soon(read, relay_id)
    return disputed(own, others)


async def _read_pairs(relay_id: bytes, epoch: int, fetch: Fetch) -> dict[bytes, bytes]:
    pairs: dict[bytes, bytes] = {}
    for number in range(_PAGES_MAX):
        page = read_directory_page(
            await fetch(relay_id, Get(Kind.DIRECTORY_PAGE, epoch_key(epoch, number)))
        )
        if pairs and page and min(page) <= max(pairs):
            raise MalformedDocumentError("pages that are not in order")
        pairs |= page
        if len(page) < PAGE_PAIRS:
            break
    return pairs
