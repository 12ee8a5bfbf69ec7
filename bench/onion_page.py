"""docs/performance.md, made from what `psp bench onion --json` found."""

from typing import Any

import parts_page
from onion_targets import OURS, PUBLIC, TARGETS, VANILLA, Target

from peerstream.node.lab.bench.plot import label

# Said of a figure only while it falls short.
REASONS = {
    "cpu_ms_per_mb": (
        "With many flows on paths drawn at random the cells of a relay come and go over many "
        "links, and a wake-up finds half as many on each of them. Counted for a hop and MB with 16 "
        "flows: 80 cells, of which 61 are data and 17 acknowledgements, in 20 wake-ups with 30 "
        "reads and 39 sends; with one flow 25 sends. Two thirds of a relay's CPU are Python's, a "
        "sixth the kernel's, an eighth ciphers."
    ),
    "mb_s": (
        "All processes share the cores: throughput of many flows is the cores divided by the CPU "
        "that a megabyte costs, and follows from it."
    ),
    "dials": (
        "A cold dial of ours is more work than the one of Tor's that stands beside it: each of "
        "ours fetches the descriptor, Tor's client has it. Beyond that a guard takes 10 SETUPs a "
        "second from a client and a dial needs three."
    ),
    "cold_dial_ms": "Four circuits of four hops with a post-quantum handshake at each of them.",
    "further_stream_ms": (
        "A new stream needs no round trip, its first byte does, and those here come to a network "
        "at rest. On a slower machine an echo after a rest took 4.2 ms where one behind another "
        "took 2.5 and a further stream 5.3: fourteen processes of Python wake from cold caches, "
        "one after the other. Who polls instead burns a core."
    ),
    "echo_ms": (
        "A byte wakes fourteen processes there and back; with other programs on the same cores "
        "each of them waits for its turn."
    ),
    "rss_mb": "libp2p and what it imports are 90 MB of it; the processes share them (see PSS).",
}
METHOD = """\
## Method

`make bench-onion ARGS="--against tor --page"` measures and writes this page.

- All on one machine and over its loopback interface: our 12 relays, a caller and a callee; for each
  profile of Tor 12 relays (three of them the directory authorities), a client and a host of onion
  services. All networks run all the time; they are measured in turns, a round each, three rounds.
- The same applications use all of them: processes of their own that are not counted, through a
  SOCKS5 port of the caller, ours the front of `psp` (16.3), to a TCP port behind the callee.
  Streams of ours and Tor's pass six relays and hide both sides.
- **public** has the consensus parameters of the public Tor network. **vanilla** has them too, with
  the scheduler that writes at once: nobody runs it, it is Tor at its best on a loopback interface.
  The limits of Tor against floods are off, since they know its relays by their addresses.
- **Cold dial**: from asking for the stream to the first byte of an answer; the descriptor was never
  fetched, the callee never dialled, circuits in stock as in everyday use. With Tor each goes to an
  onion service of its own, with us each has a user name, and so an isolation token, of its own.
- **Further stream**: likewise, to a callee that a session leads to already. **Echo**: 100 bytes
  there and back, one after the other; *rested*, each after a tenth of a second in which nothing
  was sent, as before a further stream. **Flows**: each over a session of its own, all at once; MB
  is 10^6 bytes of payload, and the time ends with the last byte.
- **Dials, 20 at once**: each over a session of its own. Ours fetch the descriptor every time.
- **CPU**: user and system time of all processes of a network, from /proc. By role: `relay` is
  all relays through six hops. **Resident** and **proportional** memory are RSS and PSS.
- A figure is the median of the rounds; a percentile is taken within each round first.
- **Another host.** On one whose memory others used at the same time (a relay of bare sockets moved
  950 to 1 460 MB/s by its CPU there, and 1 870 where the table beside Tor was made; the rows on
  a relay alone are of this host) ours suffers more than Tor.
  Beside public / vanilla: 16 flows down 31 MB/s beside 27 / 26, at 57.5 ms/MB beside 68.8 / 64.9;
  one flow down 37 MB/s beside 4.8 / 6.4; an echo 2.9 ms beside 16.2 / 1.0; a further stream 6.4
  beside 27.8 / 3.7; a cold dial 36 beside 1 059 / 194.
"""


def render(values: dict[str, Any]) -> str:
    systems = {label(system): system for system in values["systems"]}
    parts = [
        "# Performance",
        "This page is made by a command; see Method.",
        f"**{values['note']}** The sizes are in [the specification](spec/03-onion.md).",
        machine(values),
        "## Figures",
        targets(systems),
        "![The figures as bars](performance.svg)",
        "## All figures",
        everything(systems),
        "## What falls short, and why",
        shortfalls(systems),
        "## A relay alone, under load, over slow links",
        parts_page.parts(),
        METHOD.rstrip("\n") + "\n" + parts_page.METHOD,
    ]
    return "\n\n".join(parts)


def machine(values: dict[str, Any]) -> str:
    found, load = values["machine"], values["load"]
    rounds = "; ".join(
        f"{label(system)} {', '.join(map(str, system['load']))}" for system in values["systems"]
    )
    return (
        f"{found['cores']} cores of {found['cpu']}, Linux {found['kernel']}, TCP "
        f"{found['tcp_cc']}, Python {found['python']}. Load of the machine: "
        f"{load['before'][0]:.1f} before, {load['after'][0]:.1f} after; at the start of each "
        f"round: {rounds}. A load that is not near 0 before means that other programs used the "
        "cores at the same time, and that the figures say little."
    )


def targets(systems: dict[str, Any]) -> str:
    rows = ["| | Tor public | Tor vanilla | ours | wanted | |", "|---|---|---|---|---|---|"]
    rows += [row(target, systems) for target in TARGETS]
    return "\n".join(rows)


def row(target: Target, systems: dict[str, Any]) -> str:
    cells = [number(target.value(systems, name)) for name in (PUBLIC, VANILLA, OURS)]
    verdict = {True: "reached", False: "**falls short**", None: "not judged"}
    found = [target.title, *cells, target.wanted(), verdict[target.reached(systems)]]
    return f"| {' | '.join(found)} |"


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}" if value % 1 else f"{value:.0f}"


def everything(systems: dict[str, Any]) -> str:
    leaves = {name: flatten(system) for name, system in systems.items()}
    keys = list(dict.fromkeys(key for found in leaves.values() for key in found))
    rows = [f"| | {' | '.join(systems)} |", "|---|" + "---|" * len(systems)]
    for key in keys:
        cells = [number(found.get(key)) for found in leaves.values()]
        rows.append(f"| {key} | {' | '.join(cells)} |")
    return "\n".join(rows)


def flatten(found: dict[str, Any], above: str = "") -> dict[str, float]:
    leaves: dict[str, float] = {}
    for name, value in found.items():
        if isinstance(value, dict) and name != "failures":
            leaves |= flatten(value, f"{above}{name} ")
        elif isinstance(value, int | float):
            leaves[f"{above}{name}"] = value
    return leaves


def shortfalls(systems: dict[str, Any]) -> str:
    missed = [target for target in TARGETS if target.reached(systems) is False]
    if not missed:
        return "Nothing that could be judged."
    found: dict[str, list[str]] = {}
    for target in missed:
        found.setdefault(target.at[0], []).append(target.title)
    lines = [f"- {'; '.join(titles)}. {REASONS[kind]}" for kind, titles in found.items()]
    failures = systems[OURS]["failures"] if OURS in systems else {}
    lines += [f"- {count} times: {text}" for text, count in failures.items()]
    return "\n".join(lines)
