"""`psp expose`: local programs as services of our address (SPEC 13.14, 19)."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import trio
from cyclopts import Parameter

from peerstream.identity.address import Address
from peerstream.node.cli.daemon_client import DaemonClient
from peerstream.node.cli.errors import BadArgumentError
from peerstream.node.cli.levels import LEVELS, NAMES, Level
from peerstream.node.cli.logs import log_to_stderr
from peerstream.node.cli.nodes import NodeOptions
from peerstream.node.cli.options import named_network
from peerstream.node.cli.progress import DrawnSteps, drawn_steps
from peerstream.node.cli.report import Report, print_report, print_rows
from peerstream.node.cli.signals import until_interrupted
from peerstream.node.config import NetworkParameters
from peerstream.node.gateway.access_log import FileLog
from peerstream.node.gateway.exposing import ExposedService
from peerstream.node.gateway.service_spec import ServiceSpec, named_target, services_of
from peerstream.node.library.clock import SystemClock
from peerstream.node.library.identities import load_identity
from peerstream.node.ports import Environment
from peerstream.node.roles.identity import LocalIdentity
from peerstream.node.store.contacts import Contacts

if TYPE_CHECKING:
    from rich.console import Console

    from peerstream.node.library.node import Node

SCHEMA: Final = "psp.expose/1"
PUBLISH_S: Final = 120.0
_DEFAULT: Final = NodeOptions()


def expose(
    *services: Annotated[
        str, Parameter(help="NAME=TARGET: web=127.0.0.1:8080, db=unix:/path, dns=udp:127.0.0.1:53.")
    ],
    allow: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help="Who may call: 0x…, contacts, or anyone; repeatable. Else all verified callers.",
        ),
    ] = None,
    level: Annotated[Level, Parameter(help="The least level that callers may use.")] = "anonymous",
    proxy_protocol: Annotated[
        bool, Parameter(negative="", help="Say who calls in a PROXY v2 header.")
    ] = False,
    http: Annotated[
        bool, Parameter(negative="", help="Say who calls in the HTTP header X-PSP-Peer.")
    ] = False,
    access_log: Annotated[
        Path | None, Parameter(help="Append a JSON line for each stream, or HTTP request.")
    ] = None,
    node: Annotated[NodeOptions, Parameter(name="*")] = _DEFAULT,
) -> Report | int:
    """Make local programs reachable at our address: until Ctrl-C, or as long as a daemon runs."""
    if not services:
        raise BadArgumentError("name what to expose, as in web=127.0.0.1:8080")
    flags = {"allow": allow or [], "proxy_protocol": proxy_protocol, "http": http}
    specs = services_of([{**named_target(text), **flags, "level": level} for text in services])
    daemon = DaemonClient.find(node.directory)
    if daemon is not None:
        if access_log is not None:
            raise BadArgumentError("a daemon has an access_log of its own, in its configuration")
        return _through(daemon, specs, level)
    network = named_network(node.network)
    identity, contacts = _who(node, network)
    log = None if access_log is None else FileLog.open(access_log)
    exposed = [ExposedService(spec, identity.account, contacts.__contains__, log) for spec in specs]
    with drawn_steps() as steps:
        exposure = _Exposure(exposed, LEVELS[level], identity, steps)
        return trio.run(until_interrupted, exposure.run, node, network)


def _through(daemon: DaemonClient, specs: Sequence[ServiceSpec], level: Level) -> Report:
    """Have a daemon expose them until it ends."""
    for spec in specs:
        daemon.ask("POST", "/v1/services", spec.table(), patience_s=PUBLISH_S)
    who = daemon.get("/v1/identity")
    values = {
        "address": who["account"],
        "card": who["card"],
        "level": level,
        "services": [spec.table() for spec in specs],
        "daemon": True,
    }
    return Report(SCHEMA, values, lambda target: _show(target, values))


def _who(
    options: NodeOptions, network: NetworkParameters
) -> tuple[LocalIdentity, frozenset[Address]]:
    """Return who we are, and the addresses of our contacts at this moment."""
    with options.keystore() as keystore:
        environment = Environment(SystemClock(), os.urandom)
        identity = load_identity(keystore, environment, network.network_id)
        return identity, frozenset(card.account for card in Contacts(keystore).values())


@dataclass(slots=True)
class _Exposure:
    services: Sequence[ExposedService]
    level: int
    identity: LocalIdentity = field(repr=False)
    steps: DrawnSteps

    async def run(self, options: NodeOptions, network: NetworkParameters) -> None:
        """Serve until cancelled; print the report once everybody can call."""
        from peerstream.node.library.node import open_node  # noqa: PLC0415 - libp2p, a second

        log_to_stderr()
        started = trio.current_time()
        self.steps.begin("relays of the network")
        async with open_node(options.settings(network), self.identity) as node:
            self.steps.done("relays of the network are known", trio.current_time() - started)
            async with trio.open_nursery() as nursery:
                started = trio.current_time()
                self.steps.begin("publish a descriptor")
                await nursery.start(self._serve, node)
                text = f"reachable as {self.identity.account}"
                self.steps.done(text, trio.current_time() - started)
                print_report(self._report())

    async def _serve(
        self, node: "Node", task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        offers = {service.spec.name: service.offer() for service in self.services}
        await node.serve(offers, level=self.level, task_status=task_status)

    def _report(self) -> Report:
        values = {
            "address": str(self.identity.account),
            "card": str(self.identity.card),
            "level": NAMES[self.level],
            "services": [service.spec.table() for service in self.services],
            "daemon": False,
        }
        return Report(SCHEMA, values, lambda target: _show(target, values))


def _show(target: "Console", values: dict[str, Any]) -> None:
    rows = {"address": values["address"], "card": values["card"]}
    rows |= {each["name"]: f"{each['target']}, {_callers(each)}" for each in values["services"]}
    rows["in a browser"] = f"http://{values['address'].lower()}.localhost:8181/"
    if all(each["name"] != "web" for each in values["services"]):
        del rows["in a browser"]
    print_rows(target, rows)


def _callers(service: dict[str, Any]) -> str:
    found = ", ".join(service["allow"]) or "all verified callers"
    return f"for {found}, at level {service['level']} or stricter"
