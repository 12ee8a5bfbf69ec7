"""Lines and histograms as SVG, drawn by hand (docs/simulation.md)."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

COLOURS: Final = ("#2a7", "#c62", "#27a", "#748")
_WIDTH: Final = 640
_HEIGHT: Final = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 34, 44
_TICKS: Final = 6  # at most
_STEPS: Final = (1, 2, 5, 10)  # of a power of ten
_STYLE: Final = (
    "text{font:12px sans-serif;fill:#222}.small{font-size:10px}polyline{fill:none;stroke-width:2}"
)


class Chart:
    """Axes from zero to a round number; what is drawn on them comes after."""

    def __init__(self, title: str, axes: tuple[str, str], largest: tuple[float, float]) -> None:
        """axes: what x and y are, with units; largest: what must fit."""
        steps = [_step(each) for each in largest]
        counts = [math.ceil(end / step - 1e-9) for end, step in zip(largest, steps, strict=True)]
        self._largest = (counts[0] * steps[0], counts[1] * steps[1])
        right, bottom = _WIDTH - _RIGHT, _HEIGHT - 8
        self._lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
            f"<style>{_STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
            f'<text x="{_LEFT}" y="14">{escape(title)}</text>',
            f'<text x="{right}" y="{bottom}" text-anchor="end">{escape(axes[0])}</text>',
            f'<text x="{_LEFT}" y="{_TOP - 4}" class="small">{escape(axes[1])}</text>',
        ]
        for number in range(counts[0] + 1):
            self._tick_across(number * steps[0])
        for number in range(counts[1] + 1):
            self._tick_up(number * steps[1])

    def _tick_across(self, value: float) -> None:
        place = f'x="{self._x(value)}" y="{_HEIGHT - _BOTTOM + 16}"'
        self._lines.append(
            f'<text {place} class="small" text-anchor="middle">{_number(value)}</text>'
        )

    def _tick_up(self, value: float) -> None:
        y = self._y(value)
        self._lines.append(
            f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="#ddd"/>'
        )
        place = f'x="{_LEFT - 6}" y="{y + 4}"'
        self._lines.append(f'<text {place} class="small" text-anchor="end">{_number(value)}</text>')

    def _x(self, value: float) -> float:
        return round(_LEFT + value / self._largest[0] * (_WIDTH - _LEFT - _RIGHT), 1)

    def _y(self, value: float) -> float:
        height = _HEIGHT - _TOP - _BOTTOM
        return round(_HEIGHT - _BOTTOM - value / self._largest[1] * height, 1)

    def line(self, points: Sequence[tuple[float, float]], colour: str, *, dashed: bool) -> None:
        """Join points."""
        path = " ".join(f"{self._x(x)},{self._y(y)}" for x, y in points)
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        self._lines.append(f'<polyline points="{path}" stroke="{colour}"{dashes}/>')

    def bar(self, left: float, right: float, height: float) -> None:
        """Draw one bar of a histogram."""
        x, y = self._x(left), self._y(height)
        wide, tall = round(self._x(right) - x - 1, 1), round(self._y(0) - y, 1)
        self._lines.append(
            f'<rect x="{x}" y="{y}" width="{wide}" height="{tall}" fill="{COLOURS[0]}"/>'
        )

    def legend(self, names: Sequence[str]) -> None:
        """Name the colours, in their order."""
        for number, name in enumerate(names):
            x, y = _LEFT + 12, _TOP + 14 + 16 * number
            self._lines.append(
                f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{COLOURS[number]}"/>'
            )
            self._lines.append(f'<text x="{x + 16}" y="{y}">{escape(name)}</text>')

    def svg(self) -> str:
        """Return the document."""
        return "\n".join([*self._lines, "</svg>", ""])


def _step(largest: float) -> float:
    """Return the smallest round distance of which few enough make up the axis."""
    power = 10.0 ** math.floor(math.log10(largest / _TICKS))
    return next(step * power for step in _STEPS if step * power * _TICKS >= largest)


def _number(value: float) -> str:
    return f"{value:g}" if value < 1 else f"{value:.4g}"


def histogram(title: str, axes: tuple[str, str], values: Sequence[float], bins: int) -> str:
    """Return how often values fall into so many equal steps from zero."""
    most = max(values) * 1.0001
    counts = [0] * bins
    for value in values:
        counts[int(value / most * bins)] += 1
    chart = Chart(title, axes, (most, max(counts)))
    for number, count in enumerate(counts):
        chart.bar(number * most / bins, (number + 1) * most / bins, count)
    return chart.svg()


def curves(
    title: str,
    axes: tuple[str, str],
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
) -> str:
    """Return two lines a name, the second dashed; x counts from 1."""
    longest = max(len(whole) for whole, _ in series.values())
    highest = max(max(*whole, *dashed) for whole, dashed in series.values())
    chart = Chart(title, axes, (longest, highest))
    for colour, (whole, dashed) in zip(COLOURS, series.values(), strict=False):
        chart.line(list(enumerate(whole, 1)), colour, dashed=False)
        chart.line(list(enumerate(dashed, 1)), colour, dashed=True)
    chart.legend(list(series))
    return chart.svg()
