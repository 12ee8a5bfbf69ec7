"""The bytes of SPEC 0 and 5.6 a second time, written out by hand, to make tests/vectors/wire.json.

    python -m tests.reference.slow_wire

Nothing of the node is imported. A number is its digits in hexadecimal, so that a reader can compare
with the tables of the specification; all inputs are fixed.
"""

import json
from pathlib import Path

VECTORS = Path(__file__).parents[1] / "vectors" / "wire.json"


def number(value, size):
    digits = f"{value:x}".rjust(2 * size, "0")
    assert len(digits) == 2 * size
    return digits


def text(value):
    return value.encode("utf-8").hex()


def frame(circuit, kind, body):
    return number(circuit, 4) + number(kind, 1) + "00" + number(len(body) // 2, 2) + body


def pattern(size):
    return "".join(number(i % 256, 1) for i in range(size))


HELLO = number(1, 2) + number(2, 2) + number(5, 4) + number(77, 8) + "00" * 8 + number(64, 4)

LINK = [
    {"name": "padding", "circuit": 0, "type": 0, "body": pattern(5)},
    {"name": "padding of nothing", "circuit": 0, "type": 0, "body": ""},
    {"name": "setup", "circuit": 0x80000001, "type": 1, "body": pattern(16_384)},
    {"name": "reply", "circuit": 7, "type": 2, "body": pattern(1_024)},
    {"name": "cell of class 0", "circuit": 7, "type": 3, "body": pattern(1_024)},
    {"name": "credit", "circuit": 7, "type": 4, "body": number(0x01020304, 4)},
    {"name": "destroy", "circuit": 7, "type": 5, "body": number(23, 1) + "000000"},
    {"name": "hello", "circuit": 0, "type": 6, "body": HELLO},
    {
        "name": "padneg", "circuit": 0, "type": 7,
        "body": number(1_500, 2) + number(9_500, 2) + number(0, 2) + number(1, 1) + "00",
    },
    {"name": "ping", "circuit": 0, "type": 8, "body": number(9, 8)},
    {"name": "pong", "circuit": 0, "type": 9, "body": number(9, 8)},
]  # fmt: skip

# header fields that no version writes, and why
REFUSED_HEADERS = [
    ("no such type", number(1, 4) + "0a" + "00" + number(4, 2)),
    ("flags", number(1, 4) + "03" + "01" + number(1_024, 2)),
    ("a cell of no class", number(1, 4) + "03" + "00" + number(1_025, 2)),
    ("the cell size of before", number(1, 4) + "03" + "00" + number(16_384, 2)),
    ("a setup that is short", number(1, 4) + "01" + "00" + number(16_383, 2)),
    ("a cell without a circuit", number(0, 4) + "03" + "00" + number(1_024, 2)),
    ("a ping with a circuit", number(1, 4) + "08" + "00" + number(8, 2)),
]
REFUSED_BODIES = [
    ("hello", "no version", number(0, 2) + number(2, 2) + "00" * 24),
    ("hello", "an empty range", number(2, 2) + number(1, 2) + "00" * 24),
    ("hello", "a byte short", HELLO[:-2]),
    ("hello", "a byte long", HELLO + "00"),
    ("destroy", "a reason about the path", number(6, 1) + "000000"),
    ("destroy", "no reason", number(0, 1) + "000000"),
    ("destroy", "dirty", number(23, 1) + "000001"),
    ("padneg", "ends before it begins", number(2, 2) + number(1, 2) + "0000" + "00" + "00"),
    ("padneg", "no such class", number(1, 2) + number(2, 2) + "0000" + "04" + "00"),
    ("padneg", "dirty", number(1, 2) + number(2, 2) + "0000" + "01" + "01"),
]


def tlv(kind, value):
    return number(kind, 1) + number(len(value) // 2, 2) + value


FIELDS = [
    {"name": "none", "size": 4, "fields": {}, "encoded": "00" * 4},
    {
        "name": "two and padding", "size": 16, "fields": {"1": "61", "130": "6263"},
        "encoded": (tlv(1, "61") + tlv(130, "6263")).ljust(32, "0"),
    },
    {"name": "exactly full", "size": 4, "fields": {"5": "ff"}, "encoded": tlv(5, "ff")},
]  # fmt: skip
REFUSED_FIELDS = [
    ("twice", tlv(1, "61") + tlv(1, "62")),
    ("out of order", tlv(2, "61") + tlv(1, "62")),
    ("cut off", "01" + number(9, 2) + "61"),
    ("dirty padding", tlv(1, "61") + "000001"),
]

# command, message, cell bodies of 16 bytes whose padding is all 0xee
CONTROL = [
    {"name": "fits", "command": 12, "data": "616263",
     "cells": ["0c00" + number(3, 2) + "616263" + "00" + "ee" * 8]},
    {"name": "fills its cell", "command": 12, "data": pattern(12),
     "cells": ["0c00" + number(12, 2) + pattern(12)]},
    {"name": "goes on in the next", "command": 65, "data": pattern(14),
     "cells": ["4101" + number(12, 2) + pattern(12),
               "4100" + number(2, 2) + "0c0d" + "00" + "ee" * 9]},
    {"name": "nothing in it", "command": 35, "data": "",
     "cells": ["2300" + "0000" + "00" + "ee" * 11]},
]  # fmt: skip


def session_frame(kind, body, flags=0):
    return number(kind, 1) + number(flags, 1) + number(len(body) // 2, 2) + body


def cases_of_session():
    u32, u64 = lambda n: number(n, 4), lambda n: number(n, 8)
    data = u32(3) + u64(2**40) + text("bytes")
    return {
        "Data": session_frame(1, data),
        "Data at the end": session_frame(1, data, 1),
        "Open": session_frame(2, u32(5) + text("files")),
        "Opened": session_frame(3, u32(5)),
        "Reset": session_frame(5, u32(5) + u64(9) + number(68, 1)),
        "Credit": session_frame(6, u32(5) + u64(262_144)),
        "Ack": session_frame(7, u32(2) + u64(300) + u32(60_000) + u32(250)),
        "Ping": session_frame(8, ""),
        "Datagram": session_frame(
            9, number(4, 2) + u32(6) + number(1, 2) + number(3, 2) + number(500, 2) + text("part")
        ),
        "Auth": session_frame(10, pattern(32)),
        "AddPath": session_frame(12, u32(4) + pattern(32) + "cc" * 32 + "02" + "02"),
        "PathStatus": session_frame(13, u32(4) + number(8, 1)),
        "Tickets": session_frame(14, pattern(48) + "dd" * 48),
        "Close": session_frame(15, number(24, 1)),
        "Contact": session_frame(16, text("a contact")),
        "Rekey1": session_frame(17, u32(1) + u32(20) + "01" + pattern(608)),
        "Rekey2": session_frame(18, u32(1) + "00" + pattern(560)),
        "Rekey3": session_frame(19, u32(1)),
        "Switch": session_frame(20, u32(1)),
    }


REFUSED_SESSION = {
    "dirty padding": "0000000001",
    "runs past its cell": "0200" + number(9, 2) + number(1, 4),
    "no such critical type": session_frame(128, ""),
    "flags": session_frame(3, number(5, 4), 1),
    "two flags of data": session_frame(1, number(3, 4) + number(0, 8), 2),
    "a name of nothing": session_frame(2, number(5, 4)),
    "a name of 65 bytes": session_frame(2, number(5, 4) + "61" * 65),
    "a name that is not UTF-8": session_frame(2, number(5, 4) + "ff"),
    "half a ticket": session_frame(14, "dd" * 24),
    "five tickets": session_frame(14, "dd" * 240),
    "part 2 of 2": session_frame(9, "0004" + "00000006" + "0002" + "0002" + "01f4"),
    "part 2 of a rekey": session_frame(18, number(1, 4) + "02" + pattern(560)),
    "a status that is none": session_frame(15, number(63, 1)),
}
SKIPPED_SESSION = {"a type from the future": session_frame(127, "616263")}


def build():
    for case in LINK:
        case["frame"] = frame(case["circuit"], case["type"], case["body"])
    return {
        "about": "Made by tests/reference/slow_wire.py; all values are hexadecimal bytes.",
        "frames": [
            {**case, "body": short(case["body"]), "frame": short(case["frame"])} for case in LINK
        ],
        "refused_headers": [{"name": n, "header": h} for n, h in REFUSED_HEADERS],
        "refused_bodies": [{"frame": f, "name": n, "body": b} for f, n, b in REFUSED_BODIES],
        "fields": FIELDS,
        "refused_fields": [{"name": n, "encoded": e} for n, e in REFUSED_FIELDS],
        "control": CONTROL,
        "session": [{"name": n, "frame": f} for n, f in cases_of_session().items()],
        "refused_session": [{"name": n, "frame": f} for n, f in REFUSED_SESSION.items()],
        "skipped_session": [{"name": n, "frame": f} for n, f in SKIPPED_SESSION.items()],
    }


def short(digits):
    """Long bodies are 00 01 02 ... ff 00 ...: their beginning and their size say it."""
    if len(digits) <= 400:
        return digits
    return f"{digits[:48]}... {len(digits) // 2} bytes"


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(build(), indent=1) + "\n", encoding="utf-8")
