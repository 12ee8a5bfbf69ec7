"""`psp doctor`: what is wrong, and what to do about it (SPEC 13.13)."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import trio
from cyclopts import Parameter

from peerstream.node.cli.daemon_client import DaemonClient
from peerstream.node.cli.exits import Exit
from peerstream.node.cli.nodes import NodeOptions
from peerstream.node.cli.options import named_network
from peerstream.node.cli.progress import DrawnSteps, drawn_steps
from peerstream.node.cli.report import Report
from peerstream.node.library.identities import NoIdentityError

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA: Final = "psp.doctor/1"
PATIENCE_S: Final = 240.0
_DEFAULT: Final = NodeOptions()


def doctor(*, node: Annotated[NodeOptions, Parameter(name="*")] = _DEFAULT) -> Report:
    """Test clock, relay set, guards, files, and whether our own address answers."""
    daemon = DaemonClient.find(node.directory)
    with drawn_steps() as steps:
        steps.begin("self-test")
        if daemon is not None:
            checks = daemon.ask("POST", "/v1/checks", patience_s=PATIENCE_S)["checks"]
        else:
            checks = trio.run(_alone, node, steps)
    ok = all(check["ok"] for check in checks)
    values = {"daemon": daemon is not None, "checks": checks}
    code = Exit.OK if ok else Exit.FAILED
    return Report(SCHEMA, values, lambda target: _show(target, checks), ok=ok, code=code)


async def _alone(options: NodeOptions, steps: DrawnSteps) -> list[dict[str, Any]]:
    """Run a node for the time of the test."""
    from peerstream.node.library.daemon.checks import run_checks  # noqa: PLC0415 - libp2p
    from peerstream.node.library.node import open_node  # noqa: PLC0415 - likewise

    network = named_network(options.network)
    try:
        identity = options.identity(network)
    except NoIdentityError:
        identity = None
    async with open_node(options.settings(network), identity) as node:
        steps.begin("self-test")
        return [check.model_dump() for check in await run_checks(node, options.directory)]


def _show(target: "Console", checks: list[dict[str, Any]]) -> None:
    width = max(len(check["name"]) for check in checks)
    for check in checks:
        mark = "[green]✓[/green]" if check["ok"] else "[red]✗[/red]"
        target.print(f"{mark} [bold]{check['name']:<{width}}[/bold]  ", end="")
        target.print(check["found"], markup=False, soft_wrap=True)
        if check["fix"]:
            target.print(f"  {'':<{width}}  → {check['fix']}", markup=False, soft_wrap=True)
