"""docs/evidence/soak.md and its plot, made from what bench/soak.py found."""

from typing import Any

WIDTH, HEIGHT, LEFT, TOP, GAP = 720, 110, 60, 24, 44
# title, column of a sample, colour
LINES = (
    ("memory of a relay, MB", 1, "#2a7"),
    ("memory of the caller, MB", 2, "#748"),
    ("memory of the callee, MB", 3, "#b9c"),
    ("throughput, MB/s", 4, "#27a"),
    ("echo, ms", 5, "#a72"),
)


def draw(samples: list[list[float | None]]) -> str:
    """A curve for each figure over time; each begins at 0."""
    height = TOP + len(LINES) * (HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<style>text{font:12px sans-serif;fill:#222}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    ]
    end = max(sample[0] or 0 for sample in samples)
    for number, (title, column, colour) in enumerate(LINES):
        y = TOP + number * (HEIGHT + GAP)
        points = [(s[0] or 0, s[column]) for s in samples]
        parts += curve([(at, v) for at, v in points if v is not None], end, y, colour)
        parts.append(f'<text x="{LEFT}" y="{y - 6}">{title}</text>')
    return "\n".join([*parts, "</svg>", ""])


def curve(points: list[tuple[float, float]], end: float, y: int, colour: str) -> list[str]:
    most = max((value for _, value in points), default=1.0) or 1.0
    wide = WIDTH - LEFT - 20
    places = " ".join(
        f"{LEFT + at / end * wide:.1f},{y + HEIGHT - value / most * HEIGHT:.1f}"
        for at, value in points
    )
    return [
        f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.5"/>',
        f'<line x1="{LEFT}" y1="{y + HEIGHT}" x2="{WIDTH - 20}" y2="{y + HEIGHT}" stroke="#999"/>',
        f'<text x="4" y="{y + 10}">{most:.1f}</text>',
        f'<text x="{LEFT}" y="{y + HEIGHT + 14}">0</text>',
        f'<text x="{WIDTH - 80}" y="{y + HEIGHT + 14}">{end / 60:.0f} minutes</text>',
    ]


def render(values: dict[str, Any]) -> str:
    machine = values["machine"]
    rows = "\n".join(
        f"| {title} | {values[f'{name}_flat']:.3f} | {wanted} |"
        for title, name, wanted in (
            ("memory of a relay", "relay_mb", "≤ 1.05"),
            ("memory of the caller", "caller_mb", "≤ 1.05"),
            ("memory of the callee", "callee_mb", "≤ 1.05"),
            ("throughput", "mb_s", "≥ 0.95"),
        )
    )
    errors = "\n".join(f"- {text}" for text in values["error_texts"])
    verdict = "Nothing failed and nothing grew." if values["good"] else "**It falls short.**"
    return f"""# A long time at half the load

This page is made by `make prove-soak`. {verdict}

Twelve relays, a caller and a callee ran for {values["seconds"] / 60:.0f} minutes. Four flows, two
each way, moved {values["wanted_mb_s"]} MB/s together, half of the {values["full_mb_s"]} MB/s that
they reach unhindered; each through a session of its own, a new stream every 20 s. Beside them an
echo of 100 bytes a second, and a cold dial every 10 s: {values["dials"]} of them.

| last third through middle third, medians | | wanted |
|---|---|---|
{rows}
| errors | {values["errors"]} | 0 |

{errors}

![Memory, throughput and echo over time](soak.svg)

{machine["cores"]} cores of {machine["cpu"]}, Linux {machine["kernel"]}, TCP {machine["tcp_cc"]},
Python {machine["python"]}; load {values["load_before"][0]:.1f} before. Memory is resident (RSS).

Three minutes of it are played on every change, in
`tests/system/test_soak.py::test_nothing_fails_and_nothing_runs_away`.
"""
