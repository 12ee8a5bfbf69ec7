"""The part of docs/performance.md on a relay alone, on load and on slow links."""

import json
from typing import Any

from bars import KEPT, reached

TITLES = {
    "relay": {
        "per_core_mb_s": "one relay on one core, MB/s",
        "of_bare": "the same, through a relay of bare sockets with one AEAD per 64 KiB",
        "idle_circuit_bytes": "an idle circuit of 5 000, bytes",
        "with_idle": "throughput beside them, through that without",
        "held_of_windows": "held under 16 flows nobody reads, through circuits x window",
    },
    "load": {
        "dials_failed": "of 1 000 dials, 20 at a time, failed",
        "dial_cpu_ms": "CPU of each, all processes, ms",
        "loaded_p50_of_idle": "echo beside 8 flows, p50 through idle p50",
        "loaded_p99_of_idle": "the same, p99 through idle p50",
        "bulk_mb_s": "the flows beside the echo, MB/s",
    },
    "links": {
        "cold_connected_s": "20 ms a link: cold dial until connected, s",
        "down_mb_s": "and 100 Mbit/s: one stream down, MB/s",
        "up_mb_s": "one stream up, MB/s",
        "share_down": "two flows down, the slower through the faster",
        "share_up": "two flows up, likewise",
        "lossy_failed": "1 % loss a link: dials and transfers that failed",
    },
}
# Said of a figure only while it falls short.
REASONS = {
    "of_bare": (
        "A relay of ours opens and seals a message of the link around the two AEADs of its layer: "
        "four where the bare one has one. The bare loop with these four on each cell, and nothing "
        "else, has {bare_cells_of_bare:.2f} of its speed: no protocol around them can have more."
    ),
    "cold_connected_s": (
        "A cold dial is 23 links one after the other, 0.46 s of them, and 240 ms for each pair of "
        "relays that had no link yet (decision 0393)."
    ),
    "down_mb_s": (
        "The path is filled by 250 cells in flight. That takes 1.5 s, and a look at the empty path "
        "as much again: 60 MB move at 8.9 MB/s without one, at 7.5 with one."
    ),
    "loaded_p50_of_idle": (
        "An echo wakes fourteen processes, and each waits for a core while others move bulk: eight "
        "flows have a burst and an acknowledgement under way each, sixteen turns for two cores. "
        "A window cannot be narrower than a burst: with a third of the queue that it aims at the "
        "echo takes 5.5 to 6.1 times its idle time, and one flow moves a quarter less (decision "
        "0377). Whoever wants less has to leave cores idle."
    ),
    "dial_cpu_ms": (
        "A callee takes 256 new callers at once and then 20 a second (SPEC 12.7): most of 1 000 "
        "dials wait for that, and what the relays do anyway counts all the while."
    ),
}
METHOD = """\
- **A relay alone** (`make bench-relay ARGS=--page`): a relay's core and its links on one core, who
  feeds it and takes from it on the other, with credits of 32 cells of 16 368 bytes; in turns with a
  relay that has idle circuits besides, and with a blocking loop that reads 64 KiB, seals once and
  writes. MB/s are by the relay's CPU time.
- **Under load** (`make bench-load ARGS=--page`): the network and the applications of the figures
  above; the echo goes on as long as eight flows move, all sessions on the same twelve relays, in
  a process of its own.
- **Slow links** (`make bench-links ARGS=--page`, as root): machines apart, joined by a shaper
  ([SPEC 14.7](spec/14-private-networks.md)); cards of 9 000 bytes and CUBIC for speed, medians of
  three; cards of 1 500 with loss, and TCP as the machine has it. With CUBIC, which takes each loss
  for a queue on each of fourteen links, 1 % of loss leaves a stream 0.09 MB/s; BBR leaves it 0.55.
  *Connected* is what the front says; the first byte of an answer takes 14 links more.
- Sessions of the comparison and of the load get no second path (5.8): upkeep that begins half a
  second after a dial. Those over slow links and of `make prove-soak` do.
"""


def parts() -> str:
    rows = ["| | found | wanted | |", "|---|---|---|---|"]
    missed, others = [], []
    for name, titles in TITLES.items():
        path = KEPT / f"{name}.json"
        if not path.exists():
            others.append(f"`make bench-{name} ARGS=--page` has not been run.")
            continue
        found = json.loads(path.read_text(encoding="utf-8"))
        others.append(f"Load of the machine after `bench-{name}`: {found['load'][0]:.1f}.")
        rows += [row(found, key, title, missed) for key, title in titles.items()]
    return "\n\n".join(["\n".join(rows), "\n".join(missed), " ".join(others)])


def row(found: dict[str, Any], key: str, title: str, missed: list[str]) -> str:
    sign, bound = found["bars"][key]
    good = reached(found, key, (sign, bound))
    if not good and key in REASONS:
        missed.append(f"- {title}. {REASONS[key].format(**found)}")
    value = found.get(key)
    shown = "-" if value is None else f"{value:.2f}" if value % 1 else f"{value:.0f}"
    verdict = "reached" if good else "**falls short**"
    sign = {"<=": "≤", ">=": "≥"}[sign]
    return f"| {title} | {shown} | {sign} {bound:g} | {verdict} |"
