"""`psp up`: the daemon, until Ctrl-C or SIGTERM (SPEC 13.13, 17)."""

import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import trio
from cyclopts import Parameter

from peerstream.node.cli.exits import Exit
from peerstream.node.cli.options import DEFAULT_STATE, State, StateOptions, named_network
from peerstream.node.cli.progress import drawn_steps
from peerstream.node.cli.report import Report, print_report, print_rows
from peerstream.node.lab.steps import SilentSteps
from peerstream.node.library.daemon.configuration import Configuration
from peerstream.node.library.daemon.logs import configure_logs
from peerstream.node.library.daemon.notify import (
    READY,
    STOPPING,
    WATCHDOG,
    notify,
    watchdog_interval,
)

if TYPE_CHECKING:
    from rich.console import Console

    from peerstream.node.lab.steps import Steps
    from peerstream.node.library.daemon.daemon import Daemon
    from peerstream.node.library.daemon.opening import DaemonSettings

SCHEMA: Final = "psp.up/1"
Place = Annotated[str | None, Parameter(help="Loopback address and port, or `off`.")]


def up(  # noqa: PLR0913 - options of a command
    *,
    config: Annotated[
        Path | None, Parameter(env_var="PSP_CONFIG", help="The configuration, TOML.")
    ] = None,
    network: Annotated[Path | None, Parameter(help="The network file (psp.network/1).")] = None,
    relay_file: Annotated[
        Path | None, Parameter(help="The signed relay file of a network without a chain.")
    ] = None,
    source_address: Annotated[
        str | None, Parameter(help="Connections leave from this IP address of the machine.")
    ] = None,
    socks: Place = None,
    gateway: Place = None,
    api: Place = None,
    log_level: Annotated[str | None, Parameter(help="debug, info, warning or error.")] = None,
    state: State = DEFAULT_STATE,
) -> int:
    """Run the daemon: a node, its ways in and out, and the API that the other commands ask."""
    given = {
        "network": network,
        "state": state.state,
        "relay_file": relay_file,
        "source_address": source_address,
        "key_file": state.key_file,
        "gateway": _given({"socks": socks, "http": gateway}),
        "api": _given({"tcp": api}),
        "log": _given({"level": log_level}),
    }
    configuration = Configuration.load(config, _given(given))
    configure_logs(configuration.log.level, configuration.log.format)
    settings = _settings(configuration, state)
    if not sys.stderr.isatty():  # a journal, which gets the log
        return trio.run(_run, settings, SilentSteps())
    with drawn_steps() as steps:
        return trio.run(_run, settings, steps)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Return what was said on the command line; the rest is for environment and file to say."""
    return {name: value for name, value in values.items() if value not in (None, {})}


def _settings(configuration: Configuration, state: StateOptions) -> "DaemonSettings":
    from peerstream.node.library.daemon.opening import DaemonSettings  # noqa: PLC0415 - libp2p

    directory = configuration.state or state.directory
    options = replace(state, state=directory, key_file=configuration.key_file)
    return DaemonSettings(
        configuration=configuration,
        network=named_network(configuration.network),
        state=directory,
        unlock=options.unlock,
    )


async def _run(settings: "DaemonSettings", steps: "Steps") -> int:
    """Run until a signal, then drain; one more signal, or one during the start, ends it at once."""
    asked, up, code = trio.Event(), trio.Event(), Exit.INTERRUPTED
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def take_signals() -> None:
                async for _ in signals:
                    if asked.is_set() or not up.is_set():
                        nursery.cancel_scope.cancel()
                    asked.set()

            nursery.start_soon(take_signals)
            nursery.start_soon(_feed_watchdog)
            await _live(settings, steps, up, asked)
            nursery.cancel_scope.cancel()
            code = Exit.OK
    return code


async def _live(
    settings: "DaemonSettings", steps: "Steps", up: trio.Event, asked: trio.Event
) -> None:
    from peerstream.node.library.daemon.opening import open_daemon  # noqa: PLC0415 - libp2p

    started = trio.current_time()
    steps.begin("relays of the network")
    async with open_daemon(settings) as daemon:
        steps.done("relays of the network are known", trio.current_time() - started)
        up.set()
        notify(READY)
        print_report(_report(daemon))
        await asked.wait()
        notify(STOPPING)
        await daemon.drain()


async def _feed_watchdog() -> None:
    """Show systemd that this loop turns, as often as it wants to see it."""
    interval = watchdog_interval()
    while interval is not None:
        notify(WATCHDOG)
        await trio.sleep(interval)


def _report(daemon: "Daemon") -> Report:
    values = daemon.status().model_dump()
    return Report(SCHEMA, values, lambda target: _show(target, values))


def _show(target: "Console", values: dict[str, Any]) -> None:
    found = values["listeners"]
    shown = {
        "identity": values["account"] or "none: calls anonymously, serves nothing",
        "network": f"{values['relays']} relays ({values['mode']})",
        "SOCKS, HTTP proxy": found["socks"],
        "pages": found["http"] and f"http://0x….localhost:{found['http'].rpartition(':')[2]}/",
        "local API": found["api"],
        "end it with": "Ctrl-C",
    }
    print_rows(target, {name: text for name, text in shown.items() if text})
