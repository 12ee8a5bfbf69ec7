"""What two guards tell together: which caller's link carries what which callee's link carries.

Not defended, and measured so that nobody has to guess. Pairs of a network in memory exchange what
people who read pages do: a request, an answer of drawn size, a pause. An observer of the callers'
links to their guards and of the callees' counts bytes in bins, and assigns to each caller the
callee whose counts follow best.
"""

import argparse
import random
import sys
from pathlib import Path

import structlog
import trio
from trio.testing import MockClock

from peerstream.node.protocol.circuit.padding import PaddingProfile
from peerstream.node.roles.dialler import Dialling
from peerstream.node.roles.padder import PaddingSettings
from tests.node.roles.people import Person
from tests.node.roles.relays import network

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "timing.md"
TEXT = """\
# What two guards tell together

`make prove-timing` measures this. {pairs} callers read pages of {pairs} callees, each of one, for
{seconds} s: a request, an answer of 2 to 200 KB, a pause of 0.5 to 6 s; level *anonymous*, six
relays, a network of {relays} in memory under a clock of its own, 10 ms a link. `constant` is
{cells} cells a second. Two observers count in bins of 250 ms and assign to each caller the callee
whose counts follow best. One sees the *links* of all nodes to their guards and counts bytes. The
other is the *guards*, who open these links, know padding for what it is, and count cells. By
chance either would be right once in {pairs}. Seed {seed}, {rounds} rounds.

| padding | seen by | right | of | share |
|---|---|---|---|---|
{rows}
**The guards of both sides know who talks to whom, whatever the padding**: it ends at them. Whoever
sees only the links to them knows it as well with `link`, the default, as with none, for it fills
silence and hides no volume. At a constant rate these links show nothing of it; but what a guard
passes on it passes on when it comes, so that whoever sees the links behind both needs no guard. Not
defended, as [attacks](../attacks.md) says; CI plays it in
`tests/games/test_timing.py::test_guards_of_both_sides_put_two_pairs_together` and
`tests/games/test_timing.py::test_at_a_constant_rate_the_links_to_guards_tell_nothing`.
"""
CELLS = 64  # a second, of a constant rate: 263 kB/s
OBSERVERS = ("links", "guards")
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


def cables(world, person):
    """Join a node to its guards."""
    return world.internet.nodes[person.node.relay_id].cables.values()


def carried(world, person):
    """Bytes on all links of a node so far."""
    return sum(cable.carried for cable in cables(world, person))


def opened(world, person):
    """Cells both ways in the circuits that these links have now, as their guards know them."""
    links = [link for cable in cables(world, person) for link in cable.links]
    return sum(leg.received for link in links for leg in link._legs.values())


async def watch(world, people, seconds):
    """What each observer counts, by person and bin."""
    looks = (carried, opened)
    before = [[look(world, person) for person in people] for look in looks]
    counts = [[[] for _ in people] for _ in looks]
    for _ in range(round(seconds / BIN_S)):
        await trio.sleep(BIN_S)
        now = [[look(world, person) for person in people] for look in looks]
        for number, series in enumerate(counts):
            for each, new, old in zip(series, now[number], before[number], strict=True):
                each.append(max(0, new - old))
        before = now
    return counts


async def play(pairs, seconds, seed, profile=PaddingProfile.LINK):
    """How many of so many pairs are put together: by who sees the links, and by the guards."""
    source = random.Random(seed)
    async with network(RELAYS, PaddingSettings(profile, CELLS)) as world:
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
    return tuple(matched(series[:pairs], series[pairs:]) for series in counts)


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


def measure(profile, *, pairs, seconds, rounds, seed):
    """Rows of the page for one padding profile."""
    found = [
        trio.run(
            play, pairs, seconds, seed + number, profile, clock=MockClock(autojump_threshold=0)
        )
        for number in range(rounds)
    ]
    of, rows = pairs * rounds, ""
    for observer, counts in zip(OBSERVERS, zip(*found, strict=True), strict=True):
        right = sum(counts)
        rows += f"| `{profile.value}` | {observer} | {right} | {of} | {right / of:.0%} |\n"
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = vars(parser.parse_args())
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    rows = ""
    for profile in PaddingProfile:
        rows += measure(profile, **options)
    PAGE.write_text(TEXT.format(**options, relays=RELAYS, cells=CELLS, rows=rows), "utf-8")
    sys.stdout.write(rows)


if __name__ == "__main__":
    main()
