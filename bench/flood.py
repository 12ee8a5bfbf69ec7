"""Two floods on a private network of real processes: strangers at an address, garbage at a relay.

Prints the figures of docs/evidence/flood.md as a table; `--json` as one object.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import trio

from peerstream.node.lab.flood.measure import (
    GarbageFigures,
    IntroductionFigures,
    flood_introductions,
    flood_relay,
)
from peerstream.node.lab.home import fresh_run
from peerstream.node.lab.network import NetworkOptions, open_network
from peerstream.node.lab.steps import SilentSteps


async def _measure(
    directory: Path, plan: argparse.Namespace
) -> tuple[IntroductionFigures, GarbageFigures]:
    found = []
    for name in ("introductions", "garbage"):
        run = directory / name
        run.mkdir(mode=0o700)
        options = NetworkOptions(directory=run, relays=plan.relays, source="static")
        async with open_network(options, SilentSteps()) as network:
            if name == "introductions":
                found.append(
                    await flood_introductions(
                        network, plan.introductions, plan.per_second, SilentSteps()
                    )
                )
            else:
                found.append(
                    await flood_relay(
                        network, plan.garbage, plan.half_open, plan.rounds, SilentSteps()
                    )
                )
    return found[0], found[1]


def _rows(calls: IntroductionFigures, garbage: GarbageFigures) -> list[tuple[str, str, str]]:
    return [*_introduction_rows(calls), *_garbage_rows(garbage)]


def _introduction_rows(calls: IntroductionFigures) -> list[tuple[str, str, str]]:
    return [
        (
            "introductions by strangers, in seconds",
            "1 000",
            f"{calls.count} in {calls.seconds:.1f}",
        ),
        ("of them passed on, refused by points", "", f"{calls.passed_on}, {calls.refused}"),
        ("answered in vain, given up", "", f"{calls.joined_in_vain}, {calls.given_up}"),
        ("the callee's share of a core", "< 20 %", f"{calls.cpu:.1%}"),
        (
            "a contact's dial in peace, median",
            "",
            f"{median(calls.quiet_ms):.0f} ms of {len(calls.quiet_ms)}",
        ),
        (
            "a contact's dial meanwhile, median and slowest",
            "< 1 s",
            f"{median(calls.flood_ms):.0f}, {max(calls.flood_ms):.0f} ms of {len(calls.flood_ms)}",
        ),
        (
            "dials of the contact that failed",
            "0",
            f"{calls.failed}",
        ),
        (
            "the callee's memory before and after, MB",
            "flat",
            f"{calls.rss_before:.1f}, {calls.rss_after:.1f}",
        ),
    ]


def _ms(times: list[float]) -> str:
    return f"{median(times):.0f}, {max(times):.0f} ms of {len(times)}"


def _garbage_rows(garbage: GarbageFigures) -> list[tuple[str, str, str]]:
    return [
        (
            "garbage SETUPs, half-open connections",
            "10 000, 250",
            f"{garbage.sent}, {garbage.half_open}",
        ),
        (
            "links that took them, dials that were refused",
            "",
            f"{garbage.links}, {garbage.shut}",
        ),
        (
            "files through the relay in peace, MB/s, median",
            "",
            f"{median(garbage.quiet):.1f} of {len(garbage.quiet)}",
        ),
        (
            "meanwhile, MB/s, median",
            "≥ 80 %",
            f"{median(garbage.flood):.1f} of {len(garbage.flood)}: {garbage.kept:.0%}",
        ),
        (
            "a newcomer's link and circuit meanwhile, median and slowest",
            "answered",
            f"{_ms(garbage.newcomer_ms)}, {garbage.turned_away} in vain",
        ),
        (
            "CPU seconds that the flood cost its senders, on the same two cores",
            "",
            f"{garbage.attacker_s:.1f}",
        ),
        (
            "the relay's share of a core, in peace and meanwhile",
            "",
            f"{median(garbage.quiet_cpu):.0%}, {median(garbage.flood_cpu):.0%}",
        ),
    ]


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--relays", type=int, default=12)
    parser.add_argument("--introductions", type=int, default=1_000)
    parser.add_argument("--per-second", type=float, default=100.0)
    parser.add_argument("--garbage", type=int, default=10_000)
    parser.add_argument("--half-open", type=int, default=250)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    plan = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="psp-flood-") as home, fresh_run(Path(home)) as run:
        calls, garbage = trio.run(_measure, run, plan)
    if plan.json:
        found = {"introductions": asdict(calls), "garbage": asdict(garbage)}
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return 0
    sys.stdout.write("| what | bar | measured |\n|---|---|---|\n")
    for row in _rows(calls, garbage):
        sys.stdout.write("| " + " | ".join(row) + " |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
