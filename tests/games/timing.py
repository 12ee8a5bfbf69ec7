"""What two guards tell together: which caller's link carries what which callee's link carries.

Not defended, and measured so that nobody has to guess. Pairs of a network in memory exchange what
people who read pages do: a request, an answer of drawn size, a pause. An observer of the callers'
links to their guards and of the callees' counts bytes in bins, and assigns to each caller the
callee whose counts follow best.
"""

import argparse
import random
import sys
from contextlib import contextmanager
from pathlib import Path

import structlog
import trio
from trio.testing import MockClock

from peerstream.node.roles.dialler import Dialling
from peerstream.node.roles.neighbours import Neighbours
from tests.node.roles.people import Person
from tests.node.roles.relays import network

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "timing.md"
TEXT = """\
# What two guards tell together

`make prove-timing` measures this. {pairs} callers read pages of {pairs} callees, each of one, for
{seconds} s: a request, an answer of 2 to 200 KB, a pause of 0.5 to 6 s; level *anonymous*, six
relays, a network of {relays} in memory under a clock of its own, 10 ms a link. An observer of all
links between nodes and their guards counts bytes in bins of 250 ms and assigns to each caller the
callee whose counts follow best; by chance it would be right once in {pairs}. Seed {seed}, {rounds}
rounds.

| padding | right | of | share |
|---|---|---|---|
{rows}
**Whoever sees both guards, or both links to them, knows who talks to whom**, with the default
padding as without any. `link` fills silence so that records do not show when circuits open; it
hides no volume. Not defended, as [attacks](../attacks.md) says; CI plays two pairs in
`tests/games/test_timing.py::test_guards_of_both_sides_put_two_pairs_together`.
"""
PROFILES = ("off", "link")
RELAYS = 14
BIN_S = 0.25
LAGS = (0, 1)  # bins by which the callee's side may be ahead or behind
ANSWER = (2_000, 200_000)
PAUSE_S = (0.5, 6.0)
REQUEST = 400


async def answering(stream):
    """A service that answers each request with as many bytes as it names."""
    while request := await stream.receive():
        await stream.send(bytes(int.from_bytes(request[:4], "big")))


async def reading(person, target, source, seconds):
    """Read pages for a while."""
    stream = await person.client.open_stream(target, "page", Dialling())
    end = trio.current_time() + seconds
    while trio.current_time() < end:
        await trio.sleep(source.uniform(*PAUSE_S))
        size = round(ANSWER[0] * (ANSWER[1] / ANSWER[0]) ** source.random())
        await stream.send(size.to_bytes(4, "big") + bytes(REQUEST - 4))
        left = size
        while left:
            left -= len(await stream.receive())


def carried(world, person):
    """Bytes on all links of a node so far."""
    return sum(
        cable.carried for cable in world.internet.nodes[person.node.relay_id].cables.values()
    )


async def watch(world, people, seconds):
    """Bytes by bin on each person's links."""
    counts, before = [[] for _ in people], [carried(world, person) for person in people]
    for _ in range(round(seconds / BIN_S)):
        await trio.sleep(BIN_S)
        now = [carried(world, person) for person in people]
        for series, new, old in zip(counts, now, before, strict=True):
            series.append(max(0, new - old))
        before = now
    return counts


async def play(pairs, seconds, seed):
    """How many of so many pairs an observer of all of their links to guards puts together."""
    source = random.Random(seed)
    async with network(RELAYS) as world:
        callers = [Person(world, f"caller {seed} {n}") for n in range(pairs)]
        callees = [Person(world, f"callee {seed} {n}") for n in range(pairs)]
        for person in (*callers, *callees):
            await person.start()
        for callee in callees:
            await callee.serve(page=answering)
        async with trio.open_nursery() as nursery:
            for caller, callee in zip(callers, callees, strict=True):
                each = random.Random(source.random())
                nursery.start_soon(reading, caller, callee.target, each, seconds)
            counts = await watch(world, [*callers, *callees], seconds)
            nursery.cancel_scope.cancel()
    return matched(counts[:pairs], counts[pairs:])


def matched(callers, callees):
    """How many callers are assigned to the callee of their own number."""
    return sum(
        max(range(len(callees)), key=lambda n: follows(series, callees[n])) == number
        for number, series in enumerate(callers)
    )


def follows(one, other):
    """The largest correlation of two series within the lags."""
    return max(correlation(one[lag:], other[: len(other) - lag]) for lag in LAGS)


def correlation(one, other):
    """Pearson's, 0 where one of them does not vary."""
    means = [sum(series) / len(series) for series in (one, other)]
    left, right = ([x - m for x in s] for s, m in zip((one, other), means, strict=True))
    scale = (sum(x * x for x in left) * sum(x * x for x in right)) ** 0.5
    return sum(x * y for x, y in zip(left, right, strict=True)) / scale if scale else 0.0


@contextmanager
def profile(name):
    """Have clients pad as a profile says."""
    pad = Neighbours.pad
    if name == "off":
        Neighbours.pad = lambda _self, _link: None
    try:
        yield
    finally:
        Neighbours.pad = pad


def measure(name, *, pairs, seconds, rounds, seed):
    """The pairs that were put together, of all, with one padding profile."""
    with profile(name):
        found = [
            trio.run(play, pairs, seconds, seed + number, clock=MockClock(autojump_threshold=0))
            for number in range(rounds)
        ]
    return sum(found), pairs * rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = vars(parser.parse_args())
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    rows = ""
    for name in PROFILES:
        right, of = measure(name, **options)
        rows += f"| `{name}` | {right} | {of} | {right / of:.0%} |\n"
    PAGE.write_text(TEXT.format(**options, relays=RELAYS, rows=rows), "utf-8")
    sys.stdout.write(rows)


if __name__ == "__main__":
    main()
