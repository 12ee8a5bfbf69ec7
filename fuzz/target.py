"""What a fuzz target is, and how bytes are changed without a fuzzer."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """`run` feeds bytes to one decoder; only `refused` may come out. `seeds` are good ones."""

    name: str
    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def codec(
    name: str,
    decode: Callable[[bytes], Any],
    seeds: Iterable[bytes],
    *refused: type[Exception],
    encode: Callable[[Any], bytes] | None = None,
) -> Target:
    """A decoder; with `encode`, one whose values have one encoding each."""

    def run(data: bytes) -> None:
        try:
            value = decode(data)
        except refused:
            return
        if encode is not None:
            assert encode(value) == data, f"{name}: another encoding of {value!r} was accepted"

    return Target(name, run, tuple(seeds))


def machine(name: str, feed: Callable[[bytes], None], seeds: Iterable[bytes]) -> Target:
    """A state machine that is made anew for each run and says by itself what it refuses."""
    return Target(name, feed, tuple(seeds))


_NUMBERS = (b"\0", b"\xff", b"\0\0", b"\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff" * 8)


def _change(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(len(data) + 1)
    size = chance.choice((1, 1, 2, 4, 16, 200))
    match chance.randrange(6):
        case 0 if at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        case 1:
            del data[at : at + size]
        case 2:
            data[at:at] = chance.randbytes(size)
        case 3:
            data[at : at + size] = chance.randbytes(size)
        case 4:
            number = chance.choice(_NUMBERS)
            data[at : at + len(number)] = number
        case _:
            source = chance.randrange(len(data) + 1)
            data[at:at] = data[source : source + size]


def changed(target: Target, count: int, seed: int = 0) -> Iterator[bytes]:
    """The seeds, then `count` inputs made of them or of nothing; the same in every run."""
    chance = random.Random(f"{target.name} {seed}")  # noqa: S311 - repeatable on purpose
    yield b""
    yield from target.seeds
    for _ in range(count):
        if not target.seeds or chance.random() < 0.05:
            yield chance.randbytes(chance.choice((1, 4, 32, 300)))
            continue
        data = bytearray(chance.choice(target.seeds))
        if chance.random() < 0.1:
            other = chance.choice(target.seeds)
            data[chance.randrange(len(data) + 1) :] = other[chance.randrange(len(other) + 1) :]
        for _ in range(chance.choice((1, 1, 2, 5))):
            _change(chance, data)
        yield bytes(data)
