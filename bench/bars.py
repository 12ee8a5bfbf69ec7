"""What a figure is to reach, and how it is told: a table, JSON, a part of docs/performance.md."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

KEPT = Path(__file__).resolve().parent.parent / "docs" / "performance"
Bars = dict[str, tuple[str, float]]


def add_page(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--page", action="store_true", help="keep the figures for docs/performance.md"
    )


def reached(found: dict[str, Any], name: str, bar: tuple[str, float]) -> bool:
    value, (sign, bound) = found.get(name), bar
    if value is None:
        return False
    return bool(value <= bound if sign == "<=" else value >= bound)


def tell(name: str, found: dict[str, Any], bars: Bars, *, keep: bool) -> None:
    """Print the table and the JSON; `keep` writes docs/performance/NAME.json. found: bars' values
    beside everything else that was measured."""
    rounded = {key: round(v, 3) if isinstance(v, float) else v for key, v in found.items()}
    for key, (sign, bound) in bars.items():
        verdict = "reached" if reached(found, key, (sign, bound)) else "falls short"
        print(f"{key:<22} {rounded.get(key)!s:>10}  {sign} {bound:<8} {verdict}", file=sys.stderr)
    values = {"bars": bars, **rounded}
    print(json.dumps(values))
    if keep:
        KEPT.mkdir(exist_ok=True)
        path = KEPT / f"{name}.json"
        path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
