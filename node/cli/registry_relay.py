"""`psp registry relay`: a relay's life on the chain, from stake to withdrawal (SPEC 13.9)."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import trio
from cyclopts import App, Parameter

from peerstream.identity.address import Address
from peerstream.node.chain.errors import WrongKeyError
from peerstream.node.chain.evidence import Evidence
from peerstream.node.chain.registration import (
    ACTIVATION_EPOCHS,
    RelayRegistration,
    RelaySlots,
    reward_withdrawal,
    slashing,
    withdrawal,
)
from peerstream.node.chain.transactions import Plan
from peerstream.node.cli.errors import RelayProofError
from peerstream.node.cli.registry_chain import Connection
from peerstream.node.cli.registry_keys import RelayOptions
from peerstream.node.cli.registry_options import (
    DEFAULT_WRITE,
    Write,
    WriteOptions,
    parse_ether,
    parse_octets,
    read_file,
)
from peerstream.node.cli.registry_writing import Planner, Writing, date
from peerstream.node.cli.report import Report
from peerstream.node.protocol.directory.errors import BadPossessionError
from peerstream.node.protocol.directory.relay_set import NO_FAMILY

_DEFAULT: Final = RelayOptions()

app = App(name="relay", help="Register, renew, withdraw a relay; report one that cheats.")
Relay = Annotated[RelayOptions, Parameter(name="*")]
Family = Annotated[str | None, Parameter(help="32 bytes that the relays of a family share.")]


@app.command
def register(
    *,
    stake: Annotated[str | None, Parameter(help="In ether; by default the least one.")] = None,
    family: Family = None,
    relay: Relay = _DEFAULT,
    write: Write = DEFAULT_WRITE,
) -> Report:
    """Register a relay with a stake; it counts from the epoch after next."""
    amount = None if stake is None else parse_ether("--stake", stake)
    named = NO_FAMILY if family is None else parse_octets("--family", family, 32)
    secret = write.secret()

    async def planner(connection: Connection, operator: Address) -> Plan:
        deployment = connection.deployment
        keys = relay.keys(deployment.network_id, operator)
        wanted = RelayRegistration(
            operator_key=secret,
            relay_id=keys.relay_id,
            sign_key=keys.sign_key.raw,
            family=named,
            possession=keys.possession,
            stake=deployment.settings.minimum_stake if amount is None else amount,
        )
        entry, plan = (await RelaySlots.read(connection.rpc, deployment)).add(wanted)
        try:
            # The contract cannot check it, and whoever reads the registry drops an entry without.
            entry.verify_possession(deployment.network_id)
        except BadPossessionError as error:
            raise RelayProofError(f"{error} does not agree to {operator}") from error
        return _also(plan, f"it counts from {_date_of(connection, entry.from_epoch)}")

    return _run("relay register", write, planner)


@app.command
def renew(
    *,
    add_stake: Annotated[str, Parameter(help="In ether, to what is there.")] = "0",
    family: Family = None,
    sign_key: Annotated[
        str | None, Parameter(help="Another statement key's address, once its relay has it.")
    ] = None,
    relay: Relay = _DEFAULT,
    write: Write = DEFAULT_WRITE,
) -> Report:
    """Renew a relay for a whole term; change its family or statement key, add to its stake."""
    added, relay_id = parse_ether("--add-stake", add_stake), relay.id()
    new_family = None if family is None else parse_octets("--family", family, 32)
    new_key = None if sign_key is None else Address.parse(sign_key).raw

    async def planner(connection: Connection, operator: Address) -> Plan:
        slots = await RelaySlots.read(connection.rpc, connection.deployment)
        term = connection.deployment.settings.term_epochs
        current = slots.of_operator(operator, relay_id)
        changed = replace(
            current,
            family=current.family if new_family is None else new_family,
            sign_key=current.sign_key if new_key is None else new_key,
            to_epoch=slots.epoch + ACTIVATION_EPOCHS + term,
        )
        plan = slots.renewal(operator, changed, added)
        return _also(plan, f"it counts until {_date_of(connection, changed.to_epoch + 1)}")

    return _run("relay renew", write, planner)


@app.command(name="exit")
def exit_(*, relay: Relay = _DEFAULT, write: Write = DEFAULT_WRITE) -> Report:
    """Take a relay out of the set; its stake can be withdrawn after the unbonding."""
    relay_id = relay.id()

    async def planner(connection: Connection, operator: Address) -> Plan:
        slots = await RelaySlots.read(connection.rpc, connection.deployment)
        settings = connection.deployment.settings
        ends = (slots.epoch + ACTIVATION_EPOCHS) * settings.epoch_s + settings.unbonding_s
        return _also(slots.exit(operator, relay_id), f"that is from {date(ends)} on")

    return _run("relay exit", write, planner)


@app.command
def withdraw(
    *,
    reward: Annotated[
        bool, Parameter(negative="", help="What reporting a relay earned, in place of a stake.")
    ] = False,
    relay: Relay = _DEFAULT,
    write: Write = DEFAULT_WRITE,
) -> Report:
    """Get the stake of a relay back that left long enough ago."""
    relay_id = b"" if reward else relay.id()

    async def planner(connection: Connection, _operator: Address) -> Plan:
        if reward:
            return reward_withdrawal(connection.deployment)
        return withdrawal(connection.deployment, relay_id)

    return _run("relay withdraw", write, planner)


@app.command
def slash(
    evidence: Path,
    /,
    *,
    operator: Annotated[
        str | None, Parameter(help="Whose relay it is; needed once its entry is gone.")
    ] = None,
    write: Write = DEFAULT_WRITE,
) -> Report:
    """Report a relay that signed two descriptors for one epoch (a file psp.evidence/1)."""
    found = Evidence.parse(read_file(evidence), write.parameters().network_id)
    named = None if operator is None else Address.parse(operator)

    async def planner(connection: Connection, _reporter: Address) -> Plan:
        owner = named
        if owner is None:
            owner = _owner(await RelaySlots.read(connection.rpc, connection.deployment), found)
        plan = slashing(connection.deployment, owner, found.relay_id, found.equivocation)
        return _also(plan, "a twentieth of its stake becomes yours to withdraw")

    return _run("relay slash", write, planner)


def _run(action: str, write: WriteOptions, planner: Planner) -> Report:
    return trio.run(Writing(action, write, write.parameters(), write.secret(), planner).run)


def _also(plan: Plan, line: str) -> Plan:
    return replace(plan, summary=(*plan.summary, line))


def _date_of(connection: Connection, epoch: int) -> str:
    return date(epoch * connection.deployment.settings.epoch_s)


def _owner(slots: RelaySlots, found: Evidence) -> Address:
    for entry in slots.entries.values():
        if entry.relay_id == found.relay_id and entry.sign_key == found.sign_key.raw:
            return Address(entry.operator)
    text = f"nobody registers {found.relay_id.hex()[:16]} with {found.sign_key}; give --operator"
    raise WrongKeyError("no such relay", text)
