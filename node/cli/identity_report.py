"""What `psp id` prints of an identity: no secret (SPEC 13.4)."""

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from peerstream.node.cli.options import StateOptions
from peerstream.node.cli.report import Report, print_rows
from peerstream.node.roles.identity import LocalIdentity

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA: Final = "psp.id/1"


def report_of(identity: LocalIdentity, state: StateOptions) -> Report:
    """Return the report that shows an identity."""
    return report_values(values_of(identity, state))


def report_values(values: dict[str, Any]) -> Report:
    """Return the report that shows the object of an identity."""
    return Report(SCHEMA, values, lambda console: show_identity(console, values))


def no_values(state: StateOptions) -> dict[str, Any]:
    """Return all keys of the object, without values."""
    names = ("account", "identity_key", "network_id", "listed", "label", "issued", "not_after")
    rest = ("certificate_not_after", "device_key", "old_device_key", "card", "file")
    return {**dict.fromkeys((*names, *rest, "typed_data_file")), "state": str(state.directory)}


def values_of(identity: LocalIdentity, state: StateOptions) -> dict[str, Any]:
    """Return the object of an identity."""
    delegation = identity.delegation.delegation
    return {
        **no_values(state),
        "account": str(identity.account),
        "identity_key": "0x" + identity.identity_key.public.hex(),
        "network_id": "0x" + identity.delegation.network_id.hex(),
        "listed": not identity.contact_secret,
        "label": delegation.label,
        "issued": delegation.issued,
        "not_after": delegation.not_after,
        "certificate_not_after": identity.chain.certificate.not_after,
        "device_key": "0x" + identity.device.signing_public.hex(),
    }


def show_identity(console: "Console", values: dict[str, Any]) -> None:
    """Print an identity for people."""
    rows = {
        "account": values["account"],
        "identity key": values["identity_key"],
        "device key": values["device_key"],
        "network": values["network_id"],
        "reachable by": "whoever knows the address" if values["listed"] else "holders of the card",
        "delegated until": _date(values["not_after"]),
        "certified until": _date(values["certificate_not_after"]),
        "state": f"{values['state']}{os.sep}",
    }
    print_rows(console, rows)


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
