"""`psp devnet`: a private network that goes on until it is told to end (SPEC 13.7)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import trio
from cyclopts import App, Parameter

from peerstream.node.cli.exits import Exit
from peerstream.node.cli.report import Report, print_report, print_rows
from peerstream.node.cli.signals import until_interrupted
from peerstream.node.lab.errors import NotRunningError
from peerstream.node.lab.record import NetworkRecord, forget
from peerstream.node.store.state import default_path

if TYPE_CHECKING:
    from rich.console import Console

    from peerstream.node.lab.network import NetworkOptions
    from peerstream.node.lab.steps import Steps

SCHEMA: Final = "psp.devnet/1"
_NOTHING: Final = (
    *("backend", "rpc_url", "chain_id", "pid", "mnemonic", "accounts", "contracts"),
    *("network_file", "deployment_file", "state_dir", "ready_s", "relays"),
)

app = App(name="devnet", help="A private network on this machine: chain, contracts, relays.")
Home = Annotated[Path | None, Parameter(help="Where it is kept; one network a directory.")]


@app.command
def up(
    *,
    relays: Annotated[int, Parameter(help="How many relays to start.")] = 12,
    backend: Annotated[
        Literal["auto", "embedded", "anvil", "hardhat"], Parameter(help="What runs the chain.")
    ] = "auto",
    port: Annotated[int, Parameter(help="Of the chain's JSON-RPC; 0 takes a free one.")] = 0,
    state: Annotated[Path | None, Parameter(help="A file in which the chain survives.")] = None,
    state_dir: Home = None,
    foreground: Annotated[bool, Parameter(negative="", help="End it with Ctrl-C.")] = False,
) -> Report | int:
    """Start it, and return when it is ready; it goes on until `psp devnet down`."""
    from peerstream.node.cli.progress import drawn_steps  # noqa: PLC0415 - status needs none of it
    from peerstream.node.lab.home import fresh_run  # noqa: PLC0415 - likewise
    from peerstream.node.lab.network import NetworkOptions  # noqa: PLC0415 - likewise

    home = _home(state_dir)
    with fresh_run(home) as run, drawn_steps() as steps:
        options = NetworkOptions(
            directory=run,
            relays=relays,
            backend=backend,
            port=port,
            chain_state=None if state is None else state.resolve(),
        )
        return trio.run(_up, options, None if foreground else home, steps)


@app.command
def down(*, state_dir: Home = None) -> Report:
    """End it; returns when all its processes are gone."""
    home = _home(state_dir)
    stopped = NetworkRecord.load(home).end()
    forget(home)
    values = {"stopped": stopped, "leftover": []}
    text = f"{len(stopped)} processes ended" if stopped else "it had ended already"
    return Report(SCHEMA, values, lambda target: target.print(text))


@app.command
def status(*, state_dir: Home = None) -> Report:
    """Tell whether it runs, and where; exit code 3 when it does not."""
    home = _home(state_dir)
    try:
        record = NetworkRecord.load(home)
    except NotRunningError:
        return _not_running(home)
    if not record.is_running:
        return _not_running(home)
    return _report(dict(record.description))


async def _up(options: "NetworkOptions", home: Path | None, steps: "Steps") -> Report | int:
    from peerstream.node.lab.network import open_network  # noqa: PLC0415 - as above

    async with open_network(options, steps) as network:
        report = _report(network.describe())
        if home is None:

            async def stand() -> None:
                print_report(report)  # whoever reads it may end us at once
                await network.wait()

            return await until_interrupted(stand)
        network.detach(home)
    return report


def _home(state_dir: Path | None) -> Path:
    return default_path("devnet") if state_dir is None else state_dir.resolve()


def _report(description: dict[str, Any]) -> Report:
    values = {"running": True, **description}
    return Report(SCHEMA, values, lambda target: _show(target, values))


def _not_running(home: Path) -> Report:
    values: dict[str, Any] = {"running": False, **dict.fromkeys(_NOTHING)}
    values.update(accounts=[], contracts={}, relays=[], state_dir=str(home))
    return Report(
        SCHEMA,
        values,
        lambda target: target.print("no private network runs; start one with `psp devnet up`"),
        ok=False,
        code=Exit.NOT_FOUND,
    )


def _show(target: "Console", values: dict[str, Any]) -> None:
    contracts = ", ".join(f"{name} {address}" for name, address in values["contracts"].items())
    rows = {
        "chain": f"{values['backend']}, chain id {values['chain_id']}, at {values['rpc_url']}",
        "contracts": contracts,
        "accounts": f"{len(values['accounts'])} with 10 000 ETH each: {values['mnemonic']}",
        "relays": f"{len(values['relays'])}, ready in {values['ready_s']:.1f} s",
        "network file": values["network_file"],
        "end it with": f"psp devnet down --state-dir {Path(values['state_dir']).parent}",
    }
    print_rows(target, rows)
