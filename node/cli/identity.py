"""`psp id`: make, show, sign, renew the identity of a state directory (SPEC 13.4)."""

import os
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter

from peerstream.identity.address import Address
from peerstream.node.cli.daemon_client import DaemonClient
from peerstream.node.cli.errors import BadArgumentError, SignatureFileError
from peerstream.node.cli.identity_files import export, move, restore
from peerstream.node.cli.identity_report import (
    SCHEMA,
    no_values,
    report_of,
    report_values,
    values_of,
)
from peerstream.node.cli.identity_signing import WalletOptions, finish
from peerstream.node.cli.options import DEFAULT_STATE, Network, State, named_network
from peerstream.node.cli.qr import show_card, write_svg
from peerstream.node.cli.report import Report
from peerstream.node.library.clock import SystemClock
from peerstream.node.library.identities import (
    NewIdentity,
    begin_identity,
    begin_renewal,
    load_identity,
)
from peerstream.node.ports import Environment

_DAY: Final = 86_400
_SIGNATURE_MAX: Final = 8_192

app = App(name="id", help="The identity: keys that an Ethereum account vouches for.")
for command in (export, move, restore):
    app.command(command)


_DEFAULT_WALLET: Final = WalletOptions()
Wallet = Annotated[WalletOptions, Parameter(name="*")]
Days = Annotated[int, Parameter(help="How long the wallet's word counts, at most 90.")]


@app.command
def new(  # noqa: PLR0913 - options of a command
    *,
    network: Network = None,
    wallet: Wallet = _DEFAULT_WALLET,
    account: Annotated[str | None, Parameter(help="The account, with --sign-with.")] = None,
    listed: Annotated[
        bool, Parameter(negative="--unlisted", help="Whoever knows the address may dial.")
    ] = False,
    label: Annotated[str, Parameter(help="What the wallet shows for this device.")] = "",
    days: Days = 90,
    state: State = DEFAULT_STATE,
) -> Report:
    """Make an identity: fresh keys, and the wallet's signature over them."""
    signer = wallet.signer()
    if signer is None and account is None:
        raise BadArgumentError("--sign-with needs --account 0x…")
    wanted = NewIdentity(
        network_id=named_network(network).network_id,
        account=signer.address if signer is not None else Address.parse(account or ""),
        listed=listed,
        label=label,
        life=days * _DAY,
    )
    with state.new_keystore() as keystore:
        typed = begin_identity(keystore, wanted, _environment())
        return wallet.have_signed(keystore, typed, signer, state)


@app.command
def renew(
    *,
    wallet: Wallet = _DEFAULT_WALLET,
    days: Days = 90,
    state: State = DEFAULT_STATE,
) -> Report:
    """Let the wallet sign again for the same keys; the card stays the same."""
    signer = wallet.signer()
    with state.keystore() as keystore:
        typed = begin_renewal(keystore, days * _DAY, _environment())
        return wallet.have_signed(keystore, typed, signer, state)


@app.command
def import_signature(
    file: Path,
    /,
    *,
    state: State = DEFAULT_STATE,
) -> Report:
    """Take what an external wallet signed: a file with 0x and hexadecimal digits."""
    signature = read_signature(file)
    with state.keystore() as keystore:
        return report_of(finish(keystore, signature), state)


@app.command
def show(
    *,
    state: State = DEFAULT_STATE,
) -> Report:
    """Show the account, its keys' ends and whether it is listed; no secret."""
    daemon = DaemonClient.find(state.directory)
    if daemon is not None:
        return report_values({**no_values(state), **daemon.get("/v1/identity"), "card": None})
    with state.keystore() as keystore:
        return report_of(load_identity(keystore, _environment()), state)


@app.command
def card(
    *,
    qr: Annotated[bool, Parameter(negative="", help="Draw it as a QR code too.")] = False,
    svg: Annotated[Path | None, Parameter(help="Write the QR code to a new file, as SVG.")] = None,
    state: State = DEFAULT_STATE,
) -> Report:
    """Print the contact card. An unlisted one lets its holder dial: give it to contacts only."""
    daemon = DaemonClient.find(state.directory)
    if daemon is not None:
        values = {**no_values(state), **daemon.get("/v1/identity")}
    else:
        with state.keystore() as keystore:
            identity = load_identity(keystore, _environment())
        values = {**values_of(identity, state), "card": str(identity.card)}
    if svg is not None:
        write_svg(values["card"], svg)
        values["file"] = str(svg)
    return Report(SCHEMA, values, lambda console: show_card(console, values["card"], qr=qr))


def _environment() -> Environment:
    return Environment(SystemClock(), os.urandom)


def read_signature(path: Path) -> bytes:
    """Return the signature of a file. Raises SignatureFileError."""
    try:
        with path.open("rb") as file:
            text = file.read(_SIGNATURE_MAX + 1).decode("ascii").strip()
        # Wallets and JSON-RPC put quotation marks around it.
        return bytes.fromhex(text.strip('"').removeprefix("0x"))
    except OSError as error:
        raise SignatureFileError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise SignatureFileError(f"{path}") from error
