"""Sign-in messages, changed here and there; the same in every run."""

import random
from collections.abc import Iterator

from tests.identity.siwe.messages import vectors

PIECES = [*'\n /:?#[]@!%0aZ-. é"<\r\t+1', "", "\n\n", "%2", "%20", "//", "https://", "[::1]", "00"]
PIECES += ["Z", "+02:00", "-00:00", ".5", "60", "0x", "\nVersion: 1", "\nResources:", "\n- a:b"]
PIECES += ["\nRequest ID: ", "\nNot Before: 2026-01-01T00:00:00Z", "x" * 9]
TEXTS = [case["message"] for case in vectors("parsing_positive").values()]


def changed(count: int) -> Iterator[str]:
    """Yield the vectors, some with a zero more, then so many made of them by 1 to 3 changes."""
    chance = random.Random("siwe")
    yield from TEXTS
    yield from (text.replace("Chain ID: ", "Chain ID: 0") for text in TEXTS)
    for _ in range(count):
        text = chance.choice(TEXTS)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            change = chance.choice((_change_place, _change_lines))
            text = change(chance, text)
        yield text


def _change_place(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text) + 1)
    match chance.randrange(4):
        case 0:
            return text[:at] + text[at + chance.choice((1, 1, 2, 9)) :]
        case 1:
            return text[:at] + chance.choice(PIECES) + text[at:]
        case 2:
            return text[:at] + chance.choice(PIECES) + text[at + 1 :]
        case _:
            return text[:at] + text[at : at + 3].swapcase() + text[at + 3 :]


def _change_lines(chance: random.Random, text: str) -> str:
    lines = text.split("\n")
    first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
    match chance.randrange(6):
        case 0:
            lines[first], lines[second] = lines[second], lines[first]
        case 1:
            lines.insert(first, lines[second])
        case 2:
            lines[first] = lines[first].lower()
        case _:
            # most changed lines end as none; one inside a line keeps its label
            label, colon, value = lines[first].partition(": ")
            lines[first] = label + colon + _change_place(chance, value)
    return "\n".join(lines)
