"""Our network at half its load for an hour; docs/evidence/soak.md is made of it.

    python bench/soak.py [--minutes 60] [--page | --render]

Prints a sample a line on standard error and JSON at the end. --page also writes soak.json, soak.svg
and soak.md in docs/evidence; --render makes the page from soak.json. Ends with 1 when something
failed, or when memory or throughput is not flat within 5 %.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import trio
from soak_page import draw, render

from peerstream.node.cli.progress import drawn_steps
from peerstream.node.lab.bench.machine import describe_machine
from peerstream.node.lab.bench.own_network import open_own
from peerstream.node.lab.bench.soak import Sample, Soak, SoakPlan
from peerstream.node.lab.processes import LabProcesses
from peerstream.node.lab.steps import Steps

EVIDENCE = Path(__file__).resolve().parent.parent / "docs" / "evidence"
TARGET = "peerstream.node.lab.bench.target:run"
FLAT = 0.05
NAMES = ("relay_mb", "caller_mb", "callee_mb", "mb_s")


def tell(sample: Sample) -> None:
    print(
        f"{sample.at_s:7.0f} s  relay {sample.relay_mb:.1f} MB  caller {sample.caller_mb:.1f} MB"
        f"  callee {sample.callee_mb:.1f} MB  {sample.mb_s:.1f} MB/s  echo {sample.echo_ms} ms",
        file=sys.stderr,
    )


async def soak(plan: SoakPlan, steps: Steps) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="psp-soak-") as home:
        logs, network = Path(home) / "logs", Path(home) / "own"
        logs.mkdir()
        network.mkdir(mode=0o700)
        async with LabProcesses.start(logs) as processes:
            target = await processes.fork("target", TARGET, {})
            port = int((await target.event("ready"))["port"])
            async with open_own(network, port, steps, standby=True) as own:
                run = Soak(own, plan, tell).run
                return await trio.to_thread.run_sync(run, abandon_on_cancel=True)


def is_flat(found: dict[str, Any]) -> bool:
    """Memory may shrink; throughput may rise."""
    memory = all(found[f"{name}_flat"] <= 1 + FLAT for name in NAMES[:3])
    return memory and found["mb_s_flat"] >= 1 - FLAT


def write_page(values: dict[str, Any]) -> None:
    (EVIDENCE / "soak.svg").write_text(draw(values["samples"]), encoding="utf-8")
    (EVIDENCE / "soak.md").write_text(render(values), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--page", action="store_true")
    choice.add_argument("--render", action="store_true")
    arguments = parser.parse_args()
    kept = EVIDENCE / "soak.json"
    if arguments.render:
        write_page(json.loads(kept.read_text(encoding="utf-8")))
        return
    before = os.getloadavg()
    with drawn_steps() as steps:
        found = trio.run(soak, SoakPlan(seconds=60 * arguments.minutes), steps)
    good = not found["errors"] and is_flat(found)
    values = {"machine": describe_machine(), "load_before": before, "good": good, **found}
    if arguments.page:
        kept.write_text(json.dumps(values) + "\n", encoding="utf-8")
        write_page(values)
    print(json.dumps(values))
    sys.exit(not good)


if __name__ == "__main__":
    main()
