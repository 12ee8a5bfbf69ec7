"""`psp relay`: run a relay of a network (SPEC 13.6)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import trio
from cyclopts import App, Parameter

from peerstream.identity.address import Address
from peerstream.node.cli.errors import BadArgumentError, NoRelayError
from peerstream.node.cli.logs import log_to_stderr
from peerstream.node.cli.nodes import NodeOptions
from peerstream.node.cli.options import (
    DEFAULT_STATE,
    KEYSTORE,
    Network,
    State,
    StateOptions,
    named_network,
)
from peerstream.node.cli.report import Report, print_report, print_rows
from peerstream.node.cli.signals import until_interrupted
from peerstream.node.library.relay_identity import init_relay
from peerstream.node.protocol.directory.errors import MalformedDocumentError
from peerstream.node.protocol.directory.subnets import Endpoint

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA: Final = "psp.relay/1"
_DEFAULT: Final = NodeOptions()
_MULTIADDR: Final = "/ip4|ip6/ADDRESS/tcp/PORT; repeatable"

app = App(name="relay", help="Run a relay of a network.")


@app.command
def init(
    *,
    network: Network = None,
    operator: Annotated[
        str | None, Parameter(help="The account that registers it; prints the proof for it.")
    ] = None,
    state: State = DEFAULT_STATE,
) -> Report:
    """Make the keys of a relay in a new state directory."""
    account = None if operator is None else Address.parse(operator)
    parameters = None if account is None else named_network(network)
    identity = init_relay(state.directory, state.new_unlock())
    proof = None
    if account is not None and parameters is not None:
        proof = "0x" + identity.prove(parameters.network_id, account).hex()
    values = {
        **_values(identity.relay_id, state),
        "sign_key": str(identity.sign_key),
        "operator": None if account is None else str(account),
        "possession": proof,
    }
    return Report(SCHEMA, values, lambda target: _show(target, values))


@app.command
def run(
    *,
    listen: Annotated[list[str], Parameter(negative="", help=f"Where: {_MULTIADDR}.")],
    announce: Annotated[
        list[str] | None, Parameter(negative="", help=f"What others are told: {_MULTIADDR}.")
    ] = None,
    admission: Annotated[
        Path | None, Parameter(help="What admits this relay, in a network of mode dht.")
    ] = None,
    statistics_file: Annotated[Path | None, Parameter(help="Gets counters twice a second.")] = None,
    node: Annotated[NodeOptions, Parameter(name="*")] = _DEFAULT,
) -> int:
    """Run the relay until Ctrl-C."""
    network = named_network(node.network)
    if not (node.directory / KEYSTORE).exists():
        raise NoRelayError(f"{node.directory}")
    listening = tuple(_endpoint(text) for text in listen)
    announced = None if announce is None else tuple(_endpoint(text) for text in announce)
    from peerstream.node.library.relay import RelaySettings, run_relay  # noqa: PLC0415 - libp2p

    settings = RelaySettings(
        network=network,
        state=node.directory,
        unlock=node.unlock(),
        listen=listening,
        announce=announced,
        source_address=node.source_address,
        static_file=node.relay_file,
        admission=admission,
        statistics_file=statistics_file,
    )

    def ready(found: dict[str, Any]) -> None:
        values = {
            **_values(bytes.fromhex(found["relay_id"]), node),
            "endpoints": found["endpoints"],
            "pid": found["pid"],
        }
        print_report(Report(SCHEMA, values, lambda target: _show(target, values)))

    log_to_stderr()
    return trio.run(until_interrupted, run_relay, settings, ready)


def _endpoint(text: str) -> Endpoint:
    try:
        return Endpoint.parse(text)
    except MalformedDocumentError as error:
        raise BadArgumentError(f"{text}: {error}") from error


def _values(relay_id: bytes, state: StateOptions) -> dict[str, Any]:
    from peerstream.node.network.peers import peer_id_of  # noqa: PLC0415 - libp2p

    return {
        "relay_id": "0x" + relay_id.hex(),
        "peer_id": str(peer_id_of(relay_id)),
        "state": str(state.directory),
        **dict.fromkeys(("sign_key", "operator", "possession", "pid")),
        "endpoints": [],
    }


def _show(target: "Console", values: dict[str, Any]) -> None:
    rows = {
        "relay id": values["relay_id"],
        "peer id": values["peer_id"],
        "signing key": values["sign_key"],
        "operator": values["operator"],
        "possession": values["possession"],
        "listens on": ", ".join(values["endpoints"]),
        "state": values["state"],
    }
    print_rows(target, {name: value for name, value in rows.items() if value})
