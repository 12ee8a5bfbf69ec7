"""`psp registry`: what stands on the chain about relays and identities (SPEC 13.9)."""

from typing import TYPE_CHECKING, Annotated, Any

import trio
from cyclopts import App, Parameter

from peerstream.identity.address import Address
from peerstream.node.chain.reader import RegistrySnapshot
from peerstream.node.chain.units import ether
from peerstream.node.cli import registry_identity, registry_relay
from peerstream.node.cli.registry_chain import read_all
from peerstream.node.cli.registry_options import DEFAULT_READ, Read
from peerstream.node.cli.registry_submit import submit
from peerstream.node.cli.registry_writing import SCHEMA, date
from peerstream.node.cli.report import Report, print_rows
from peerstream.node.config import NetworkParameters
from peerstream.node.protocol.directory.relay_set import RelayEntry

if TYPE_CHECKING:
    from rich.console import Console

Json = dict[str, Any]

app = App(name="registry", help="Register relays, list identities, revoke: on the chain.")
app.command(registry_identity.app)
app.command(registry_relay.app)
app.command(registry_identity.revoke)
app.command(submit)


@app.command
def show(
    *,
    account: Annotated[
        str | None, Parameter(help="Show this account alone; no endpoint learns which.")
    ] = None,
    read: Read = DEFAULT_READ,
) -> Report:
    """Show what the registries say: relays, identity keys, revocations."""
    wanted = None if account is None else Address.parse(account)
    network = read.parameters()
    # The whole of it, whatever is shown: who asks for one account is about to talk to it.
    snapshot = trio.run(read_all, network)
    values = _values(network, snapshot, wanted)
    return Report(SCHEMA, values, lambda target: _show(target, values))


def _values(network: NetworkParameters, snapshot: RegistrySnapshot, wanted: Address | None) -> Json:
    accounts = snapshot.identities.accounts() if wanted is None else [wanted]
    roots = {str(view.epoch): "0x" + view.root.hex() for view in snapshot.views}
    relays = sorted(snapshot.latest, key=lambda entry: entry.slot)
    if wanted is not None:
        relays = [entry for entry in relays if entry.operator == wanted.raw]
    return {
        "network_id": "0x" + network.network_id.hex(),
        "chain_id": network.chain_id,
        "block": snapshot.block.number,
        "block_time": snapshot.block.timestamp,
        "epoch": snapshot.epoch,
        "epoch_s": network.epoch_s,
        "roots": roots,
        "relays": [_relay(entry, snapshot, network) for entry in relays],
        "identities": [_identity(one, snapshot) for one in accounts],
    }


def _relay(entry: RelayEntry, snapshot: RegistrySnapshot, network: NetworkParameters) -> Json:
    view = next(view for view in snapshot.views if view.epoch == snapshot.epoch)
    # A view has only entries that are in force and whose relay agreed to its operator.
    counts = any((one.relay_id, one.operator) == (entry.relay_id, entry.operator) for one in view)
    return {
        "slot": entry.slot,
        "relay_id": "0x" + entry.relay_id.hex(),
        "operator": str(Address(entry.operator)),
        "sign_key": str(Address(entry.sign_key)),
        "family": "0x" + entry.family.hex(),
        "stake_wei": str(entry.weight),
        "from_epoch": entry.from_epoch,
        "to_epoch": entry.to_epoch,
        "from_time": entry.from_epoch * network.epoch_s,
        "to_time": (entry.to_epoch + 1) * network.epoch_s,
        "counts": counts,
    }


def _identity(account: Address, snapshot: RegistrySnapshot) -> Json:
    record = snapshot.identities.record(account)
    return {
        "account": str(account),
        "identity_key": None if record is None else "0x" + record.identity_key.hex(),
        "issued": None if record is None else record.issued,
        "revoked_before": snapshot.identities.revoked_before(account) or None,
        "revoked_devices": [
            "0x" + key.hex() for key in snapshot.identities.revoked_devices(account)
        ],
    }


def _show(target: "Console", values: Json) -> None:
    print_rows(
        target,
        {
            "network": values["network_id"],
            "as of": f"block {values['block']} of chain {values['chain_id']},"
            f" {date(values['block_time'])}, epoch {values['epoch']}",
            "relays": f"{sum(relay['counts'] for relay in values['relays'])} count now,"
            f" {len(values['relays'])} registered",
            "accounts": str(len(values["identities"])),
        },
    )
    for relay in values["relays"]:
        target.print()
        print_rows(target, _relay_rows(relay))
    for identity in values["identities"]:
        target.print()
        print_rows(target, _identity_rows(identity))


def _relay_rows(relay: Json) -> dict[str, str]:
    return {
        "relay": relay["relay_id"],
        "operator": relay["operator"],
        "signing key": relay["sign_key"],
        "stake": ether(int(relay["stake_wei"])),
        "counts": f"{'now' if relay['counts'] else 'not now'},"
        f" from {date(relay['from_time'])} to {date(relay['to_time'])}",
    }


def _identity_rows(identity: Json) -> dict[str, str]:
    key, before = identity["identity_key"], identity["revoked_before"]
    rows = {
        "account": identity["account"],
        "identity key": f"{key}, since {date(identity['issued'])}" if key else "none",
        "void up to": "" if before is None else date(before),
        "void devices": ", ".join(identity["revoked_devices"]),
    }
    return {name: value for name, value in rows.items() if value}
