"""Tasks that fail as one: a named error comes out bare, not in a group."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def open_team() -> AsyncIterator[trio.Nursery]:
    """Open a nursery out of which one error comes: of several at once, the gravest."""
    gravest: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        gravest = _gravest(group)
    if gravest is not None:
        raise gravest


def _gravest(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Prefer what is no Exception (Ctrl-C), then any error, to being cancelled by a sibling."""
    _, errors = group.split(trio.Cancelled)
    _, signals = (errors or group).split(Exception)
    leaf: BaseException = signals or errors or group
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf
