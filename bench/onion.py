"""Our network measured, with Tor beside it if wanted; and the page of the figures made again.

    python bench/onion.py [--against tor] [--quick] [--page | --render]

Prints what `psp bench onion --json` prints. --page also writes docs/performance.json, .svg and .md;
--render makes the page from docs/performance.json without measuring.
"""

import argparse
import json
import tempfile
from pathlib import Path

import trio
from onion_page import render

from peerstream.node.cli.progress import drawn_steps
from peerstream.node.lab.bench.comparison import Options, compare
from peerstream.node.lab.bench.plot import draw
from peerstream.node.lab.bench.rounds import QUICK, Plan
from peerstream.node.lab.bench.tor_config import PROFILES

DOCS = Path(__file__).resolve().parent.parent / "docs"
FIGURES, PLOT, PAGE = (DOCS / f"performance.{ending}" for ending in ("json", "svg", "md"))


def measure(*, tor: bool, quick: bool) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="psp-bench-") as home, drawn_steps() as steps:
        plan = QUICK if quick else Plan()
        options = Options(Path(home), plan, profiles=PROFILES if tor else ())
        return trio.run(compare, options, steps)


def write_page(values: dict[str, object]) -> None:
    PLOT.write_text(draw(values["systems"], values["note"]), encoding="utf-8")
    PAGE.write_text(render(values), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", choices=["none", "tor"], default="none")
    parser.add_argument("--quick", action="store_true")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--page", action="store_true")
    choice.add_argument("--render", action="store_true")
    arguments = parser.parse_args()
    if arguments.render:
        write_page(json.loads(FIGURES.read_text(encoding="utf-8")))
        return
    values = measure(tor=arguments.against == "tor", quick=arguments.quick)
    if arguments.page:
        FIGURES.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        write_page(values)
    print(json.dumps(values))


if __name__ == "__main__":
    main()
