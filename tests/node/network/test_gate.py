"""Whose handshake is next, and what a place pays for connections that came to nothing."""

import trio
import trio.testing

from peerstream.node.network.gate import BLAME, AcceptLimits, Gate, Turns

PLACES = 8


def turns(rate: float = 10, burst: float = 2, patience_s: float = 1) -> Turns:
    return Turns(rate, burst, patience_s, trio.current_time)


async def ask(turns: Turns, rank: float, name: str, served: list[tuple[str, float]]) -> None:
    if await turns.take(rank):
        served.append((name, trio.current_time()))


async def test_turns_come_at_a_rate(autojump_clock) -> None:
    some = turns()
    served: list[tuple[str, float]] = []
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(ask, some, 1.0, str(number), served)
    times = sorted(round(at - begun, 2) for _name, at in served)
    assert times == [0.0, 0.0, 0.1, 0.2, 0.3, 0.4]


async def test_the_quietest_place_is_next(autojump_clock) -> None:
    some = turns(burst=1)
    served: list[tuple[str, float]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, some, 0.0, "takes the burst", served)
        await trio.testing.wait_all_tasks_blocked()
        for rank in (3.0, 1.0, 2.0, 1.0):
            nursery.start_soon(ask, some, rank, str(rank), served)
            await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(0.15)
        nursery.start_soon(ask, some, 9.0, "newcomer", served)
    assert [name for name, _at in served] == [
        "takes the burst",
        "3.0",
        "newcomer",
        "2.0",
        "1.0",
        "1.0",
    ]


async def test_nobody_waits_longer_than_he_would_stay(autojump_clock) -> None:
    some = turns(rate=1, burst=1, patience_s=2.5)
    outcomes: list[bool] = []

    async def come() -> None:
        outcomes.append(await some.take(1.0))

    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(come)
    assert outcomes.count(True) == 3
    assert trio.current_time() - begun == 2.5
    assert not some._queue
    await trio.sleep(1)
    assert await some.take(1.0)


async def test_whoever_leaves_the_queue_lets_the_next_one_move(autojump_clock) -> None:
    some = turns(rate=1, burst=1, patience_s=10)
    assert await some.take(0.0)
    served: list[tuple[str, float]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, some, 1.0, "second", served)
        with trio.move_on_after(0.5):
            await some.take(2.0)
    assert [name for name, _at in served] == ["second"]


def test_what_came_to_nothing_counts_as_several() -> None:
    now = [0.0]
    limits = AcceptLimits(per_place_second=1, per_place_burst=2 * BLAME)
    gate = Gate(limits, lambda: now[0])

    def came(seconds: int) -> int:
        """How often a place that only fails is let in, trying ten times a second."""
        admitted = 0
        for _ in range(10 * seconds):
            now[0] += 0.1
            if gate.admits("a"):
                admitted += 1
                gate.blame("a")
        return admitted

    assert came(2) == 2
    assert came(10 * (int(BLAME) + 1)) == 10  # one for each so many seconds, whatever it owes
    assert gate.admits("b")


async def test_a_flood_from_known_places_stands_behind_a_newcomer(autojump_clock) -> None:
    gate = Gate(AcceptLimits(handshakes_second=5, handshakes_burst=1))

    async def come(where: str) -> None:
        while gate.admits(where):
            if await gate.turn(where):
                gate.blame(where)

    async with trio.open_nursery() as nursery:
        for number in range(200):
            nursery.start_soon(come, f"hostile {number % PLACES}")
        await trio.sleep(0.5)
        begun = trio.current_time()
        assert gate.admits("honest")
        assert await gate.turn("honest")
        assert trio.current_time() - begun <= (PLACES + 1) / 5  # one of each before him, not 200
        nursery.cancel_scope.cancel()
