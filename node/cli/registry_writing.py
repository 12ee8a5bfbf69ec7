"""From a plan to a report: try it, show it, ask, sign, send (SPEC 13.9)."""

import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from peerstream.identity.address import Address
from peerstream.identity.signer import LocalSigner
from peerstream.node.chain.posting import Preview, preview
from peerstream.node.chain.sending import Sender
from peerstream.node.chain.transactions import Plan, Receipt, simulate
from peerstream.node.cli.errors import NotConfirmedError
from peerstream.node.cli.registry_chain import Connection, connected
from peerstream.node.cli.registry_options import WriteOptions
from peerstream.node.cli.report import Report
from peerstream.node.config import NetworkParameters
from peerstream.node.remedies import one_line
from peerstream.node.store.files import write_whole

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA: Final = "psp.registry/1"
PLANNED: Final = "planned"
SIGNED: Final = "signed"
SENT: Final = "sent"
_DATE_MAX: Final = 253_402_300_799  # the end of the year 9999
_NOTHING: Final = (
    *("sender", "value_wei", "gas", "fee_wei", "cost_wei"),
    *("file", "transaction", "block", "gas_used"),
)
Planner = Callable[[Connection, Address], Awaitable[Plan]]


@dataclass(frozen=True, slots=True)
class Writing:
    """A change that one account signs and pays for. action: the command's words."""

    action: str
    options: WriteOptions
    network: NetworkParameters
    secret: bytes = field(repr=False)
    planner: Planner

    @property
    def sender(self) -> Address:
        """The account."""
        return LocalSigner(self.secret).address

    async def run(self) -> Report:
        """Carry it out as far as the options say.

        Raises ChainError, as a subclass that says what to do; NotConfirmedError, OwnNodeError.
        """
        async with connected(self.network, stranger=self.options.stranger) as connection:
            plan = await self.planner(connection, self.sender)
            found = await preview(connection.rpc, self.sender, plan)
            values = {**nothing(self.action, self.network), **_planned(found)}
            if self.options.sign_only is None:
                await connection.require_funds(found)
            if self.options.dry_run:
                return report(values, found.lines())
            confirm(found.lines(), yes=self.options.yes)
            if self.options.sign_only is not None:
                write_whole(self.options.sign_only, found.sign(self.secret).encode())
                return signed(values, str(self.options.sign_only))
            # Somebody may have changed the registry while we asked: better refused than paid for.
            await simulate(connection.rpc, self.sender, plan)
            sender = Sender(connection.rpc, self.secret, self.network.chain_id)
            return sent(values, await sender.send(found.plan))


def nothing(action: str, network: NetworkParameters) -> dict[str, Any]:
    """Return the report's values before anything is known."""
    return {
        "action": action,
        "state": PLANNED,
        "network_id": "0x" + network.network_id.hex(),
        "chain_id": network.chain_id,
        "summary": [],
        **dict.fromkeys(_NOTHING),
    }


def sent(values: dict[str, Any], receipt: Receipt) -> Report:
    """Return the report of a change that is in a block."""
    values.update(
        state=SENT,
        transaction="0x" + receipt.hash.hex(),
        block=receipt.block,
        gas_used=receipt.gas_used,
    )
    lines = (
        f"Done in block {receipt.block} for {receipt.gas_used} gas",
        f"transaction {values['transaction']}",
    )
    return report(values, lines)


def signed(values: dict[str, Any], file: str) -> Report:
    """Return the report of a change that stands in a file."""
    values.update(state=SIGNED, file=file)
    return report(values, (f"Signed into {file}: `psp registry submit {file}` posts it",))


def report(values: dict[str, Any], lines: Iterable[str]) -> Report:
    """Return a report that shows these lines to people."""
    shown = [one_line(line) for line in lines]

    def show(target: "Console") -> None:
        for line in shown:
            target.print(line, markup=False, soft_wrap=True)

    return Report(SCHEMA, values, show)


def confirm(lines: Iterable[str], *, yes: bool) -> None:
    """Show on standard error what will be signed, and ask. Raises NotConfirmedError."""
    for line in lines:
        sys.stderr.write(f"  {one_line(line)}\n")
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotConfirmedError("there is no terminal to ask on")
    sys.stderr.write("Do this? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise NotConfirmedError("you did not say yes")


def date(seconds: int) -> str:
    """Return a unix second as people read it."""
    if seconds > _DATE_MAX:
        return f"unix second {seconds}"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _planned(found: Preview) -> dict[str, Any]:
    # Amounts of wei are text: JSON in JavaScript has no room for their digits.
    return {
        "sender": str(found.sender),
        "summary": list(found.lines()),
        "value_wei": str(found.plan.value),
        "gas": found.plan.gas,
        "fee_wei": str(found.fees.maximum),
        "cost_wei": str(found.cost),
    }
