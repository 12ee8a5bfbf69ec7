"""`psp registry identity` and `revoke`: what an account says of its keys (SPEC 13.9)."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import trio
from cyclopts import App, Parameter

from peerstream.identity.address import Address
from peerstream.identity.errors import KeyMaterialError, WrongNetworkError
from peerstream.identity.keys import check_public_key
from peerstream.identity.signer import LocalSigner
from peerstream.node.chain.errors import WrongKeyError
from peerstream.node.chain.identities import Change, IdentityRequest, identity_change
from peerstream.node.chain.transactions import Plan
from peerstream.node.cli.errors import BadArgumentError, NotListedError, OtherKeyListedError
from peerstream.node.cli.options import DEFAULT_STATE, State, StateOptions
from peerstream.node.cli.registry_chain import Connection, anchor, wall
from peerstream.node.cli.registry_options import (
    DEFAULT_WRITE,
    Write,
    WriteOptions,
    parse_octets,
)
from peerstream.node.cli.registry_writing import Writing, confirm, date, nothing, signed
from peerstream.node.cli.report import Report
from peerstream.node.config import NetworkParameters
from peerstream.node.library.identities import read_delegation
from peerstream.node.store.files import write_whole

_DAY: Final = 86_400
_NO_KEY: Final = bytes(32)

app = App(name="identity", help="List, replace or take away an account's identity key.")
Key = Annotated[
    str | None, Parameter(help="The identity key; by default that of the state directory.")
]
Days = Annotated[int, Parameter(help="How long a request of --sign-only may be posted.")]


@app.command(name="set")
def set_(
    *, key: Key = None, days: Days = 7, write: Write = DEFAULT_WRITE, state: State = DEFAULT_STATE
) -> Report:
    """List the identity key of the account, so that whoever knows the address finds it."""
    value = _Value(Change.SET_IDENTITY, _key(key, write, state), _require_no_other)
    return _change("identity set", value, write, days)


@app.command
def rotate(
    *, key: Key = None, days: Days = 7, write: Write = DEFAULT_WRITE, state: State = DEFAULT_STATE
) -> Report:
    """List another identity key in place of the one that is listed."""
    value = _Value(Change.SET_IDENTITY, _key(key, write, state), _require_listed)
    return _change("identity rotate", value, write, days)


@app.command
def clear(*, days: Days = 7, write: Write = DEFAULT_WRITE) -> Report:
    """List no identity key any longer."""
    value = _Value(Change.SET_IDENTITY, _NO_KEY, _require_listed)
    return _change("identity clear", value, write, days)


def revoke(
    *,
    before: Annotated[
        str | None, Parameter(help="Void what was issued up to then: unix seconds, or ISO 8601.")
    ] = None,
    device: Annotated[
        str | None, Parameter(help="Void one device for ever: its key, as `psp id show` prints it.")
    ] = None,
    days: Days = 7,
    write: Write = DEFAULT_WRITE,
) -> Report:
    """Void what the account issued up to a time, by default now, or one device."""
    if device is None:
        value = _Value(Change.REVOKE_BEFORE, _time(before))
    elif before is None:
        value = _Value(Change.REVOKE_DEVICE, parse_octets("--device", device, 32))
    else:
        raise BadArgumentError("give either --before or --device")
    return _change("revoke", value, write, days)


@dataclass(frozen=True, slots=True)
class _Value:
    """What is changed to what. kept: what has to stand in the registry before."""

    change: Change
    value: bytes | int
    kept: "_Kept | None" = None


async def _require_no_other(connection: Connection, account: Address, value: bytes | int) -> None:
    listed = (await connection.snapshot()).identities.identity_key(account)
    if listed is not None and listed != value:
        raise OtherKeyListedError(f"{account} lists {listed.hex()}")


async def _require_listed(connection: Connection, account: Address, _value: bytes | int) -> None:
    snapshot = await connection.snapshot()
    if snapshot.identities.identity_key(account) is None:
        raise NotListedError(f"{account}, as of block {snapshot.block.number}")


_Kept = Callable[[Connection, Address, bytes | int], Awaitable[None]]


def _change(action: str, wanted: _Value, write: WriteOptions, days: int) -> Report:
    network, secret = write.parameters(), write.secret()
    if write.sign_only is not None:
        file = _File(write.sign_only, days * _DAY, write.yes)
        return _sign(action, wanted, network, LocalSigner(secret), file)

    async def planner(connection: Connection, account: Address) -> Plan:
        if wanted.kept is not None:
            await wanted.kept(connection, account, wanted.value)
        return identity_change(connection.deployment, wanted.change, wanted.value)

    return trio.run(Writing(action, write, network, secret, planner).run)


@dataclass(frozen=True, slots=True)
class _File:
    """Where a request goes, and for how many seconds it may be posted."""

    path: Path
    life: int
    yes: bool


def _sign(
    action: str, wanted: _Value, network: NetworkParameters, signer: LocalSigner, file: _File
) -> Report:
    """Sign a request into a file, without any endpoint: whoever posts it pays."""
    request = IdentityRequest.fresh(
        wanted.change,
        signer.address,
        wanted.value,
        deadline=wall() + file.life,
        entropy=os.urandom,
    )
    lines = (*request.summary(), f"whoever posts it pays, until {date(request.deadline)}")
    confirm(lines, yes=file.yes)
    write_whole(file.path, request.sign(signer, anchor(network)).encode())
    values = {**nothing(action, network), "sender": str(signer.address), "summary": list(lines)}
    return signed(values, str(file.path))


def _key(text: str | None, write: WriteOptions, state: StateOptions) -> bytes:
    if text is None:
        return _own_key(write, state)
    key = parse_octets("--key", text, 32)
    try:
        check_public_key(key)
    except KeyMaterialError as error:
        raise BadArgumentError(f"--key {text}: {error}") from error
    return key


def _own_key(write: WriteOptions, state: StateOptions) -> bytes:
    """Return the identity key of the state directory, if it is this account's and network's."""
    with state.keystore() as keystore:
        found = read_delegation(keystore)
    if found.network_id != write.parameters().network_id:
        raise WrongNetworkError("the identity was made for another network")
    account = LocalSigner(write.secret()).address
    if found.delegation.account != account:
        text = f"the identity in {state.directory} is of {found.delegation.account}, not {account}"
        raise WrongKeyError("another account", text)
    return found.delegation.identity_key


def _time(text: str | None) -> int:
    now = wall()
    if text is None:
        return now
    try:
        if text.isascii() and text.isdigit():
            found = int(text)
        else:
            moment = datetime.fromisoformat(text)
            # Without a zone it would mean another moment on the next machine.
            found = int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    except ValueError as error:
        raise BadArgumentError(f"--before {text}: unix seconds, or 2026-01-31T12:00Z") from error
    if not 0 < found <= now:
        raise BadArgumentError(f"--before {text}: not in the future")
    return found
