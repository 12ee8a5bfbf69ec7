"""Bars of several networks as SVG, drawn by hand (docs/performance.md)."""

from collections.abc import Sequence
from html import escape
from typing import Any, Final

BARS: Final = (
    ("cold dial, ms", ("cold_dial_ms", "p50"), False),
    ("further stream, ms", ("further_stream_ms", "p50"), False),
    ("echo of 100 bytes, ms", ("echo_ms", "p50"), False),
    ("echo, 99 of 100, ms", ("echo_ms", "p99"), False),
    ("one stream down, MB/s", ("mb_s", "down", "1"), True),
    ("one stream up, MB/s", ("mb_s", "up", "1"), True),
    ("16 flows down, MB/s", ("mb_s", "down", "16"), True),
    ("16 flows up, MB/s", ("mb_s", "up", "16"), True),
    ("CPU of all, ms per MB", ("cpu_ms_per_mb", "all"), False),
    ("dials a second", ("dials", "per_s"), True),
)
COLOURS: Final = {"peerstream": "#2a7", "tor public": "#748", "tor vanilla": "#b9c"}
_WIDTH: Final = 720
_LEFT: Final = 190
_BAR: Final = 14
_GAP: Final = 12
_RIGHT: Final = 110


def label(system: dict[str, Any]) -> str:
    """Return what to call a system."""
    profile = system["profile"]
    return str(system["name"]) if profile is None else f"{system['name']} {profile}"


def value_at(system: dict[str, Any], names: Sequence[str]) -> float | None:
    """Return a figure of a system, None when there is none."""
    found: Any = system
    for name in names:
        found = found[name]
    return None if found is None else float(found)


def better(*, larger: bool) -> str:
    """Return which bar is the good one."""
    return "more is better" if larger else "less is better"


def draw(systems: Sequence[dict[str, Any]], note: str) -> str:
    """Return an SVG with a group of bars for each figure; each group has a scale of its own."""
    lines, y = [], 36
    for number, system in enumerate(systems):
        name = label(system)
        x = _LEFT + number * 150
        lines.append(f'<rect x="{x}" y="10" width="12" height="12" fill="{_colour(name)}"/>')
        lines.append(f'<text x="{x + 18}" y="20">{escape(name)}</text>')
    for title, names, larger in BARS:
        group, y = _group(systems, (title, names, better(larger=larger)), y)
        lines += group
    lines.append(f'<text x="10" y="{y + 12}" class="small">{escape(note)}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 24}"'
    style = "<style>text{font:12px sans-serif;fill:#222}.small{font-size:9px}</style>"
    ground = f'<rect width="{_WIDTH}" height="{y + 24}" fill="#fff"/>'
    return "\n".join([f'{head} role="img">', style, ground, *lines, "</svg>", ""])


def _group(
    systems: Sequence[dict[str, Any]], heading: tuple[str, Sequence[str], str], y: int
) -> tuple[list[str], int]:
    title, names, hint = heading
    values = [value_at(system, names) for system in systems]
    most = max((value for value in values if value), default=1.0)
    lines = [
        f'<text x="10" y="{y + 11}">{escape(title)}</text>',
        f'<text x="10" y="{y + 23}" class="small">{hint}</text>',
    ]
    for system, value in zip(systems, values, strict=True):
        width = round((value or 0.0) / most * (_WIDTH - _LEFT - _RIGHT), 1)
        text = "none" if value is None else f"{value:.1f}"
        colour = _colour(label(system))
        lines.append(
            f'<rect x="{_LEFT}" y="{y}" width="{width}" height="{_BAR - 2}" fill="{colour}"/>'
        )
        lines.append(f'<text x="{_LEFT + width + 6}" y="{y + 10}">{text}</text>')
        y += _BAR
    return lines, y + max(_GAP, 30 - _BAR * len(systems))


def _colour(name: str) -> str:
    return COLOURS.get(name, "#999")
