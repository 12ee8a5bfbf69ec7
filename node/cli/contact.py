"""`psp contact`: cards by alias (SPEC 13.13)."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter

from peerstream.node.cli.daemon_client import DaemonClient
from peerstream.node.cli.errors import BadAddressError
from peerstream.node.cli.options import DEFAULT_STATE, KEYSTORE, State, StateOptions
from peerstream.node.cli.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from peerstream.node.store.contacts import Contacts

SCHEMA: Final = "psp.contact/1"
Alias = Annotated[str, Parameter(help="What you call it: a-z, 0-9 and -.")]

app = App(name="contact", help="Contacts: cards of others, by names of your own.")


@app.command
def add(
    alias: Alias,
    card: Annotated[
        str,
        Parameter(allow_leading_hyphen=True, help="Their card psp:0x…; `-` reads standard input."),
    ],
    /,
    *,
    state: State = DEFAULT_STATE,
) -> Report:
    """Keep a contact's card, in place of an older one of the same address."""
    text = _typed() if card == "-" else card
    daemon = DaemonClient.find(state.directory)
    if daemon is not None:
        daemon.ask("POST", "/v1/contacts", {"alias": alias, "card": text})
    else:
        with _own(state) as contacts:
            contacts.add(alias, _card(text))
    return _report(state, f"{alias} is a contact")


@app.command(name="list")
def list_(*, state: State = DEFAULT_STATE) -> Report:
    """List the contacts; the secrets of their cards stay where they are."""
    return _report(state, None)


@app.command
def remove(alias: Alias, /, *, state: State = DEFAULT_STATE) -> Report:
    """Forget a contact."""
    daemon = DaemonClient.find(state.directory)
    if daemon is not None:
        daemon.ask("DELETE", f"/v1/contacts/{_in_path(alias)}")
    else:
        with _own(state) as contacts:
            contacts.remove(alias)
    return _report(state, f"{alias} is no contact any more")


def _typed() -> str:
    import sys  # noqa: PLC0415 - with the one thing that needs it

    return sys.stdin.readline(512).strip()


def _in_path(alias: str) -> str:
    from peerstream.node.store.contacts import check_alias  # noqa: PLC0415 - the keystore's ciphers

    return check_alias(alias)


@contextmanager
def _own(state: StateOptions) -> "Iterator[Contacts]":
    """Open the contacts of a directory that no daemon has, making a keystore for them."""
    from peerstream.node.store.contacts import Contacts  # noqa: PLC0415 - likewise

    with state.new_keystore() as keystore:
        yield Contacts(keystore)


def _card(text: str) -> Any:
    from peerstream.identity.contact import ContactCard  # noqa: PLC0415 - likewise
    from peerstream.node.cli.targets import parse_target  # noqa: PLC0415 - likewise

    card = parse_target(text)
    if not isinstance(card, ContactCard):
        raise BadAddressError("an address alone is no card: ask for psp:0x…?k=…")
    return card


def _report(state: StateOptions, done: str | None) -> Report:
    contacts = _listed(state)
    values = {"contacts": contacts, "state": str(state.directory)}
    return Report(SCHEMA, values, lambda target: _show(target, contacts, done))


def _listed(state: StateOptions) -> list[dict[str, Any]]:
    daemon = DaemonClient.find(state.directory)
    if daemon is not None:
        found: list[dict[str, Any]] = daemon.get("/v1/contacts")["contacts"]
        return found
    if not (state.directory / KEYSTORE).exists():
        return []
    with _own(state) as contacts:
        return [
            {"alias": alias, "account": str(card.account), "listed": not card.contact_secret}
            for alias, card in contacts.items()
        ]


def _show(target: "Console", contacts: list[dict[str, Any]], done: str | None) -> None:
    if done is not None:
        target.print(done, markup=False)
        return
    if not contacts:
        target.print("no contacts yet: `psp contact add ALIAS CARD`")
        return
    width = max(len(contact["alias"]) for contact in contacts)
    for contact in contacts:
        kind = "listed" if contact["listed"] else "by card"
        target.print(f"{contact['alias']:<{width}}  {contact['account']}  {kind}", soft_wrap=True)
