"""`psp ping`: the way to an address and back, timed (SPEC 13.5)."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import trio
from cyclopts import Parameter

from peerstream.node.cli.errors import BadArgumentError
from peerstream.node.cli.levels import LEVELS, NAMES, Level
from peerstream.node.cli.nodes import Dialled, NodeOptions, Wish, dialled
from peerstream.node.cli.progress import DrawnSteps, drawn_steps
from peerstream.node.cli.report import Report
from peerstream.node.services.ping import PAYLOAD, SERVICE, RoundTrips, ping_once

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA: Final = "psp.ping/1"
_DEFAULT: Final = NodeOptions()
_COUNT_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class _Plan:
    wish: Wish
    count: int
    interval: float


def ping(
    target: Annotated[str, Parameter(help="An address 0x…, or a card psp:0x…")],
    /,
    *,
    count: Annotated[int, Parameter(help="How many round trips.")] = 5,
    interval: Annotated[float, Parameter(help="Seconds between two of them.")] = 0.2,
    level: Level = "anonymous",
    anonymous: Annotated[
        bool, Parameter(negative="", help="Do not say who calls, where the callee allows that.")
    ] = False,
    node: Annotated[NodeOptions, Parameter(name="*")] = _DEFAULT,
) -> Report:
    """Measure the way to an address and back."""
    if not (1 <= count <= _COUNT_MAX and interval >= 0):
        raise BadArgumentError(f"--count is 1 to {_COUNT_MAX}, --interval not negative")
    plan = _Plan(Wish.of(target, LEVELS[level], anonymous=anonymous), count, interval)
    with drawn_steps() as steps:
        return trio.run(_run, node, plan, steps)


async def _run(options: NodeOptions, plan: _Plan, steps: DrawnSteps) -> Report:
    async with dialled(options, plan.wish, SERVICE, steps) as call:
        times = []
        for number in range(plan.count):
            if number:
                await trio.sleep(plan.interval)
            took = await ping_once(call.stream, os.urandom(PAYLOAD), trio.current_time)
            times.append(took)
            steps.done(f"{PAYLOAD} bytes there and back, {took * 1e3:.1f} ms", took)
    values = _values(call, times)
    return Report(SCHEMA, values, lambda target: _show(target, values))


def _values(call: Dialled, times: list[float]) -> dict[str, Any]:
    found = RoundTrips(times)
    return {
        "address": call.address,
        "level": NAMES[call.stream.peer.level],
        "hops": call.stream.peer.hops,
        "dial_ms": round(call.dial_s * 1e3, 3),
        "count": len(times),
        "ms": [round(took * 1e3, 3) for took in times],
        "p50_ms": round(found.percentile(50) * 1e3, 3),
        "p99_ms": round(found.percentile(99) * 1e3, 3),
    }


def _show(target: "Console", values: dict[str, Any]) -> None:
    target.print(
        f"{values['address']} answered {values['count']} times over {values['hops']} hops"
        f" ({values['level']}): p50 {values['p50_ms']:.1f} ms, p99 {values['p99_ms']:.1f} ms,"
        f" dialled in {values['dial_ms']:.1f} ms",
        soft_wrap=True,
    )
