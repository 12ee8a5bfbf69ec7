"""`psp pipe` and `psp nc`: standard input and output, joined to a service (SPEC 13.15).

Standard output is the callee's alone: these commands print no report.
"""

from typing import Annotated, Final

import trio
from cyclopts import Parameter

from peerstream.node.cli.exits import Exit
from peerstream.node.cli.levels import LEVELS, Level
from peerstream.node.cli.nodes import NodeOptions
from peerstream.node.cli.progress import drawn_steps
from peerstream.node.cli.reaching import Reach, reached
from peerstream.node.cli.targets import parse_place
from peerstream.node.gateway.pipes import carry_pipe
from peerstream.node.lab.steps import SilentSteps, Steps, step

_DEFAULT: Final = NodeOptions()
Anonymous = Annotated[
    bool, Parameter(negative="", help="Do not say who calls, where the callee allows that.")
]


def pipe(
    target: Annotated[str, Parameter(help="An address 0x…, a card psp:0x…, or a name")],
    service: Annotated[str, Parameter(help="The service, or a port that stands for one.")],
    /,
    *,
    level: Level = "anonymous",
    anonymous: Anonymous = False,
    node: Annotated[NodeOptions, Parameter(name="*")] = _DEFAULT,
) -> int:
    """Send standard input to a service of an address, and print what it answers."""
    reach = Reach(parse_place(target, service), LEVELS[level], anonymous)
    with drawn_steps() as steps:
        return trio.run(_run, node, reach, steps)


def nc(
    host: Annotated[str, Parameter(help="A name such as 0x….psp.alt, or an address: %%h")],
    port: Annotated[str, Parameter(help="A port that stands for a service, or its name: %%p")],
    /,
    *,
    level: Level = "anonymous",
    anonymous: Anonymous = False,
    node: Annotated[NodeOptions, Parameter(name="*")] = _DEFAULT,
) -> int:
    """Be the ProxyCommand of ssh, and say nothing of one's own."""
    reach = Reach(parse_place(host, port), LEVELS[level], anonymous, quiet=True)
    return trio.run(_run, node, reach, SilentSteps())


async def _run(options: NodeOptions, reach: Reach, steps: Steps) -> int:
    async with reached(options, reach, steps) as open_stream:
        with step(steps, f"dial {reach.place.name}") as shown:
            stream = await open_stream()
            shown.result = f"dialled {reach.place.name}"
        await carry_pipe(stream)
    return Exit.OK
