"""`psp bench`: how fast the network is on this machine, and Tor beside it (docs/performance.md)."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import trio
from cyclopts import App, Parameter

from peerstream.node.cli.exits import Exit
from peerstream.node.cli.report import Report, print_rows

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA: Final = "psp.bench.onion/1"
_BAR: Final = 40

app = App(name="bench", help="Measure private networks on this machine.")


@app.command
def onion(
    *,
    against: Annotated[Literal["none", "tor"], Parameter(help="What to measure beside it.")] = (
        "none"
    ),
    profile: Annotated[
        Literal["public", "vanilla", "both"],
        Parameter(help="Tor as people use it; as it is fastest on one machine."),
    ] = "both",
    quick: Annotated[bool, Parameter(negative="", help="One short round, to see it work.")] = False,
    plot: Annotated[Path | None, Parameter(help="Where to draw the figures, as SVG.")] = None,
) -> Report:
    """Measure dials, echoes, transfers, CPU and memory of a network of twelve relays."""
    from peerstream.node.cli.progress import drawn_steps  # noqa: PLC0415 - --help needs none of it
    from peerstream.node.lab.bench.comparison import Options, compare  # noqa: PLC0415 - likewise
    from peerstream.node.lab.bench.plot import draw  # noqa: PLC0415 - likewise
    from peerstream.node.lab.bench.rounds import QUICK, Plan  # noqa: PLC0415 - likewise
    from peerstream.node.lab.bench.tor_config import PROFILES  # noqa: PLC0415 - likewise

    profiles = tuple(one for one in PROFILES if against == "tor" and profile in (one, "both"))
    with tempfile.TemporaryDirectory(prefix="psp-bench-") as home, drawn_steps() as steps:
        options = Options(Path(home), QUICK if quick else Plan(), profiles=profiles)
        values = trio.run(compare, options, steps)
    if plot is not None:
        plot.write_text(draw(values["systems"], values["note"]))
    ok = all(not system["failures"] for system in values["systems"] if system["profile"] is None)
    code = Exit.OK if ok else Exit.FAILED
    return Report(SCHEMA, values, lambda target: _show(target, values), ok=ok, code=code)


def _show(target: "Console", values: dict[str, Any]) -> None:
    machine, load = values["machine"], values["load"]
    for title, bars in _bars(values["systems"]):
        target.print(f"[bold]{title}[/bold]")
        for line in bars:
            target.print(line, soft_wrap=True)
    target.print()
    for name, found in values["ratios"].items():
        target.print(f"[bold]times better than {name.replace('_', ' ')}[/bold]")
        print_rows(target, {k: "none" if v is None else f"{v:.2f}" for k, v in found.items()})
        target.print()
    for system in values["systems"]:
        for failure, count in system["failures"].items():
            target.print(f"[red]{system['name']}[/red]: {count} times {failure}", soft_wrap=True)
    target.print(
        f"{machine['cores']} cores of {machine['cpu']}, Linux {machine['kernel']}, TCP"
        f" {machine['tcp_cc']}, Python {machine['python']}; load {load['before'][0]:.1f} before,"
        f" {load['after'][0]:.1f} after",
        soft_wrap=True,
    )
    target.print(values["note"], soft_wrap=True)


def _bars(systems: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    from peerstream.node.lab.bench.plot import (  # noqa: PLC0415 - only for people
        BARS,
        better,
        label,
        value_at,
    )

    width = max(len(label(system)) for system in systems)
    found = []
    for title, names, larger in BARS:
        values = [value_at(system, names) for system in systems]
        most = max((value for value in values if value), default=1.0)
        lines = [
            f"  {label(system):<{width}} {'█' * max(1, round((value or 0) / most * _BAR))}"
            f" {'none' if value is None else f'{value:.1f}'}"
            for system, value in zip(systems, values, strict=True)
        ]
        found.append((f"{title} ({better(larger=larger)})", lines))
    return found
