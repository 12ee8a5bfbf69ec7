"""`psp forward`: a local port that leads to a service of an address (SPEC 13.15)."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import trio
from cyclopts import Parameter

from peerstream.node.cli.errors import BadArgumentError, PortTakenError
from peerstream.node.cli.levels import LEVELS, Level
from peerstream.node.cli.nodes import NodeOptions
from peerstream.node.cli.progress import drawn_steps
from peerstream.node.cli.reaching import Open, Reach, reached
from peerstream.node.cli.report import Report, failure_line, print_report
from peerstream.node.cli.signals import until_interrupted
from peerstream.node.cli.targets import parse_place
from peerstream.node.gateway.forwarding import forward_connections, forward_datagrams
from peerstream.node.gateway.names import PORT_MAX
from peerstream.node.lab.steps import Steps

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA: Final = "psp.forward/1"
HOST: Final = "127.0.0.1"
_BACKLOG: Final = 128
_DEFAULT: Final = NodeOptions()


@dataclass(frozen=True, slots=True)
class _Plan:
    port: int
    reach: Reach
    level: str
    udp: bool


def forward(
    port: Annotated[int, Parameter(help="The local port, 0 for any that is free.")],
    target: Annotated[str, Parameter(help="0x…:SERVICE, a card psp:0x…:SERVICE, or a name")],
    /,
    *,
    udp: Annotated[bool, Parameter(negative="", help="Carry datagrams instead of TCP.")] = False,
    level: Level = "anonymous",
    anonymous: Annotated[
        bool, Parameter(negative="", help="Do not say who calls, where the callee allows that.")
    ] = False,
    node: Annotated[NodeOptions, Parameter(name="*")] = _DEFAULT,
) -> int:
    """Let a local port lead to a service of an address, until Ctrl-C."""
    if not 0 <= port <= PORT_MAX:
        raise BadArgumentError(f"PORT is 0 to {PORT_MAX}")
    reach = Reach(parse_place(target), LEVELS[level], anonymous)
    with drawn_steps() as steps:
        plan = _Plan(port, reach, level, udp)
        return trio.run(until_interrupted, _run, node, plan, steps)


async def _run(options: NodeOptions, plan: _Plan, steps: Steps) -> None:
    with await _bind(plan) as local:
        async with reached(options, plan.reach, steps) as open_stream:
            print_report(_report(plan, local.getsockname()[1]))
            await _serve(plan, local, open_stream)


async def _serve(plan: _Plan, local: trio.socket.SocketType, open_stream: Open) -> None:
    if plan.udp:
        await forward_datagrams(local, open_stream, _tell)
    else:
        await forward_connections(trio.SocketListener(local), open_stream, _tell)


async def _bind(plan: _Plan) -> trio.socket.SocketType:
    """Return a socket on the local port, listening if it is for connections."""
    kind = trio.socket.SOCK_DGRAM if plan.udp else trio.socket.SOCK_STREAM
    local = trio.socket.socket(trio.socket.AF_INET, kind)
    try:
        if not plan.udp:
            local.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
        await local.bind((HOST, plan.port))
        if not plan.udp:
            local.listen(_BACKLOG)
    except OSError as error:
        local.close()
        raise PortTakenError(f"{HOST}:{plan.port}: {error.strerror}") from None
    return local


def _tell(error: Exception) -> None:
    """Say why a program was not connected: it only sees a connection that broke."""
    sys.stderr.write(failure_line(error) + "\n")


def _report(plan: _Plan, port: int) -> Report:
    place = plan.reach.place
    values: dict[str, Any] = {
        "listen": f"{HOST}:{port}",
        "protocol": "udp" if plan.udp else "tcp",
        "target": place.name,
        "service": place.service,
        "level": plan.level,
    }
    return Report(SCHEMA, values, lambda target: _show(target, values))


def _show(target: "Console", values: dict[str, Any]) -> None:
    target.print(
        f"{values['listen']} ({values['protocol']}) leads to {values['service']}"
        f" of {values['target']} ({values['level']})",
        soft_wrap=True,
    )
