"""The process of a node in a flood: the callee, a contact, a stranger, an attacker (SPEC 14.8)."""

import os
import socket
from dataclasses import replace
from functools import partial
from typing import Any, Final

import trio

from peerstream.identity.address import Address
from peerstream.node.lab.bench.parties import identity_of, settings_of
from peerstream.node.lab.channel import Channel, Message
from peerstream.node.lab.flood.garbage import Garbage, HalfOpen
from peerstream.node.lab.flood.newcomer import reach
from peerstream.node.lab.flood.strangers import Strangers
from peerstream.node.lab.program import Options, run_program
from peerstream.node.library.assembly import NodeSettings, assemble
from peerstream.node.library.clock import SystemClock
from peerstream.node.library.node import ServiceOffer, open_node
from peerstream.node.ports import Environment, PortError
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.roles.client import Client
from peerstream.node.roles.dialler import Dialling
from peerstream.node.roles.errors import RoleError
from peerstream.node.roles.identity import LocalIdentity, Target
from peerstream.node.roles.parts import NodeParts
from peerstream.node.services import ping

ANONYMOUS: Final = 2


def run_callee(end: socket.socket, options: Options) -> int:
    """Be called. options: as `settings_of` and `identity_of` want them; contacts, accounts."""
    return run_program(end, options, _callee)


def run_caller(end: socket.socket, options: Options) -> int:
    """Call, or attack. options: as `settings_of` and `identity_of` want them."""
    return run_program(end, options, _caller)


def _identity(options: Options, settings: NodeSettings) -> LocalIdentity:
    return identity_of(options, settings, Environment(SystemClock(), os.urandom))


async def _callee(channel: Channel, options: Options) -> None:
    contacts = {Address.parse(account) for account in options["contacts"]}
    settings = replace(settings_of(options), is_contact=contacts.__contains__)
    identity = _identity(options, settings)
    offers = {ping.SERVICE: ServiceOffer(ping.answer_pings)}
    async with open_node(settings, identity) as node, trio.open_nursery() as nursery:
        await nursery.start(partial(node.serve, offers, level=ANONYMOUS))
        card = {"account": str(identity.account), "key": identity.identity_key.public.hex()}
        await channel.tell({"event": "published", **card})
        while await channel.hear() is not None:
            await channel.tell({"event": "statistics", **node.statistics()})
        await trio.sleep_forever()  # our owner let go of us


async def _caller(channel: Channel, options: Options) -> None:
    settings = settings_of(options)
    identity = _identity(options, settings)
    async with assemble(settings) as assembly, trio.open_nursery() as nursery:
        caller = _Caller(assembly.parts, identity, nursery)
        nursery.start_soon(caller.client.run)
        await channel.tell({"event": "ready", "account": str(identity.account)})
        while (message := await channel.hear()) is not None:
            await channel.tell(await caller.obey(message))
        await trio.sleep_forever()  # our owner let go of us


class _Caller:
    def __init__(self, parts: NodeParts, identity: LocalIdentity, nursery: trio.Nursery) -> None:
        self._parts = parts
        self._identity = identity
        self._nursery = nursery
        self.client = Client(parts, identity)
        self._held = trio.CancelScope()

    async def obey(self, message: Message) -> dict[str, Any]:
        """Do one request and return what came of it."""
        if message["do"] == "dial":
            return await self._dial(message)
        if message["do"] == "introduce":
            return await self._introduce(message)
        if message["do"] == "hold":
            return self._hold(message)
        if message["do"] == "let go":
            self._held.cancel()
            return {"event": "let go"}
        if message["do"] == "reach":
            seconds = await reach(self._parts, bytes.fromhex(message["relay_id"]))
            return {"event": "reached", "ms": None if seconds is None else seconds * 1e3}
        return await self._send_garbage(message)

    async def _dial(self, message: Message) -> dict[str, Any]:
        """message: account, key. A new session, one echo, and its end."""
        started = trio.current_time()
        try:
            driver = await self.client.dial(_target(message), ping.SERVICE, Dialling())
            stream = driver.open_stream(ping.SERVICE)
            await ping.ping_once(stream, b"\0" * ping.PAYLOAD, trio.current_time)
        except (RoleError, ProtocolError, PortError) as error:
            return {"event": "failed to dial", "why": str(error)}
        took = trio.current_time() - started
        self._nursery.start_soon(driver.aclose)
        return {"event": "dialled", "ms": took * 1e3}

    async def _introduce(self, message: Message) -> dict[str, Any]:
        """message: account, key, count, per_second."""
        strangers = Strangers(self._parts, self._identity, _target(message), ping.SERVICE)
        await strangers.introduce(message["count"], message["per_second"])
        counts = {"passed_on": strangers.passed_on, "refused": strangers.refused}
        return {"event": "introduced", **counts}

    def _hold(self, message: Message) -> dict[str, Any]:
        """message: host, port, count."""
        self._held = trio.CancelScope()
        self._nursery.start_soon(
            self._hold_open,
            self._held,
            HalfOpen(message["host"], message["port"], message["count"]),
        )
        return {"event": "held"}

    @staticmethod
    async def _hold_open(scope: trio.CancelScope, half_open: HalfOpen) -> None:
        with scope:
            await half_open.hold()

    async def _send_garbage(self, message: Message) -> dict[str, Any]:
        """message: relay_id, count."""
        garbage = Garbage(self._parts, bytes.fromhex(message["relay_id"]))
        await garbage.send(message["count"])
        counts = {"sent": garbage.sent, "links": garbage.links, "shut": garbage.shut}
        return {"event": "sent", **counts}


def _target(message: Message) -> Target:
    return Target(Address.parse(message["account"]), bytes.fromhex(message["key"]))
