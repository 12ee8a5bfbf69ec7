"""What a daemon tells of itself, from what its node holds at this moment (SPEC 17.7)."""

import os
import resource
from collections.abc import Mapping
from typing import Final, Literal

from peerstream.identity.address import Address
from peerstream.node.http import schemas
from peerstream.node.library.node import Node
from peerstream.node.roles.identity import LocalIdentity
from peerstream.node.roles.sessions import SessionDriver
from peerstream.node.store.contacts import Contacts

LEVELS: Final[Mapping[int, schemas.Level]] = {1: "private", 2: "anonymous"}
_SHOWN: Final = 8  # hexadecimal digits of a relay id


def card_of(identity: LocalIdentity) -> schemas.Card:
    """Return who an identity is, with its card."""
    delegation = identity.delegation.delegation
    return schemas.Card(
        account=str(identity.account),
        identity_key="0x" + identity.identity_key.public.hex(),
        network_id="0x" + identity.delegation.network_id.hex(),
        listed=not identity.contact_secret,
        label=delegation.label,
        issued=delegation.issued,
        not_after=delegation.not_after,
        certificate_not_after=identity.chain.certificate.not_after,
        device_key="0x" + identity.device.signing_public.hex(),
        card=str(identity.card),
    )


def contacts_of(contacts: Contacts | None) -> list[schemas.Contact]:
    """Return the contacts without what opens their descriptors."""
    if contacts is None:
        return []
    return [
        schemas.Contact(alias=alias, account=str(card.account), listed=not card.contact_secret)
        for alias, card in contacts.items()
    ]


def circuits_of(node: Node, contacts: Contacts | None) -> schemas.Circuits:
    """Return the sessions of a node and the relays under them."""
    terms = node.parts.circuits.guards.guards
    sessions = [
        _session(driver, contacts, called=called)
        for drivers, called in ((node.calling(), False), (node.called(), True))
        for driver in drivers
    ]
    return schemas.Circuits(guards=[_shown(term.relay_id) for term in terms], sessions=sessions)


def directory_of(node: Node) -> Literal["none", "usable", "complete"]:
    """Return how much of the relays' keys the node knows."""
    directory, wall = node.parts.keeper.directory, node.parts.environment.clock.wall()
    if directory.complete(wall):
        return "complete"
    return "usable" if directory.usable(wall) else "none"


def streams_of(node: Node) -> int:
    """Return how many streams are open."""
    return sum(driver.streams for driver in (*node.calling(), *node.called()))


def counts_of(node: Node) -> dict[str, float]:
    """Return the sums of a node that a monitor gets."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = node.statistics()
    return {
        "relays": node.parts.keeper.relays,
        "links": found["links"],
        "circuits": found["circuits"],
        "sessions": len(node.calling()) + len(node.called()),
        "streams": streams_of(node),
        "resident_bytes": _resident(),
        "cpu_seconds_total": used.ru_utime + used.ru_stime,
        "padding_bytes_total": found["padding"]["bytes"],
        "padding_share": found["padding"]["share"],
        "faults_total": sum(found["causes"].values()) + sum(found["refused"].values()),
    }


def _session(driver: SessionDriver, contacts: Contacts | None, *, called: bool) -> schemas.Session:
    address = driver.peer.address
    return schemas.Session(
        peer=None if address is None else _named(address, contacts),
        called=called,
        level=LEVELS[driver.peer.level],
        streams=driver.streams,
        sent=driver.sent,
        received=driver.received,
        round_trip_ms=round(driver.session.round_trip * 1e3, 1),
        ways=[[_shown(relay_id) for relay_id in way] for way in driver.ways],
    )


def _named(address: Address, contacts: Contacts | None) -> str:
    alias = None if contacts is None else contacts.alias_of(address)
    return alias or str(address)


def _shown(relay_id: bytes) -> str:
    return relay_id.hex()[:_SHOWN]


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no path of ours
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
