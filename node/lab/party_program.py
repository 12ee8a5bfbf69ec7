"""The process of a node that calls or is called in a private network (SPEC 14.3).

Its owner tells it what to do, one request at a time, and learns by events what came of it.
"""

import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import trio

from peerstream.identity.address import Address
from peerstream.identity.errors import IdentityError
from peerstream.identity.signer import LocalSigner
from peerstream.node.chain.devnet.accounts import dev_accounts
from peerstream.node.config import load_network
from peerstream.node.lab.channel import Channel, Message
from peerstream.node.lab.parting import parted_guards
from peerstream.node.lab.party_gateways import PartyGateways
from peerstream.node.lab.program import Options, failure, run_program
from peerstream.node.library.clock import SystemClock
from peerstream.node.library.identities import NewIdentity, make_identity
from peerstream.node.library.node import Node, NodeSettings, open_node
from peerstream.node.ports import ByteStream, Environment, Peer, PortError
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.roles.errors import CallDeniedError, RoleError
from peerstream.node.roles.identity import LocalIdentity, Target
from peerstream.node.roles.service import ServiceOffer
from peerstream.node.services import ping
from peerstream.node.services.files.errors import FileServiceError
from peerstream.node.services.files.offer import Offer
from peerstream.node.services.files.receiver import ReceivedFile
from peerstream.node.services.files.sender import PreparedFile, SentFile, send_file
from peerstream.node.services.files.service import FileService, accept_everybody
from peerstream.node.store.keystore import KeyFile, Keystore
from peerstream.node.store.node_store import NodeStore
from peerstream.node.store.state import StateDirectory

FILES: Final = "file"
PROGRESS_S: Final = 0.1
_UNSENT: Final = (FileServiceError, IdentityError, PortError, ProtocolError, RoleError)


def run(end: socket.socket, options: Options) -> int:
    """Run a node.

    options: state (a path), account (the number of a devnet account), source_address,
    network_file, static_file (a path or None), relays (all relay_ids in hexadecimal), party (0 or
    1, see `parted_guards`), listed (may whoever knows the address dial it? yes unless given).
    """
    return run_program(end, options, _main)


async def _main(channel: Channel, options: Options) -> None:
    network = load_network(Path(options["network_file"]))
    environment = Environment(SystemClock(), os.urandom)
    identity = _new_identity(options, network.network_id, environment)
    await channel.tell(
        {
            "event": "identity",
            "account": str(identity.account),
            "identity_key": identity.identity_key.public.hex(),
            "device_keys": [
                identity.device.signing_public.hex(),
                identity.device.agreement_public.hex(),
            ],
            "card": str(identity.card),
        }
    )
    await channel.hear()  # "open", once the identity is listed
    _keep_apart(options, network.network_id, environment)
    static = options["static_file"]
    settings = NodeSettings(
        network=network,
        state=Path(options["state"]),
        static_file=None if static is None else Path(static),
        source_address=options["source_address"],
    )
    async with open_node(settings, identity) as node, trio.open_nursery() as nursery:
        await channel.tell({"event": "open"})
        party = _Party(channel, node, nursery)
        while (message := await channel.hear()) is not None:
            await party.obey(message)
        await trio.sleep_forever()  # our owner let go of us


def _new_identity(options: Options, network_id: bytes, environment: Environment) -> LocalIdentity:
    account = dev_accounts()[options["account"]]
    wanted = NewIdentity(
        network_id=network_id,
        account=account.address,
        listed=options.get("listed", True),
        label="private network",
    )
    with StateDirectory.open(Path(options["state"])) as state:
        key = KeyFile(state.file("keystore.key"))
        key.make(environment.entropy)
        keystore = Keystore.create(state.file("keystore"), key, environment.entropy)
        return make_identity(keystore, wanted, LocalSigner(account.secret), environment)


def _keep_apart(options: Options, network_id: bytes, environment: Environment) -> None:
    """Begin with guards of our half of the relays."""
    relay_ids = [bytes.fromhex(relay_id) for relay_id in options["relays"]]
    wall = environment.clock.wall()
    guards = parted_guards(network_id, relay_ids, options["party"], wall)
    if guards is not None:
        with StateDirectory.open(Path(options["state"])) as state:
            NodeStore(state, network_id, environment.clock.wall).save_guards(guards)


class _Party:
    """Does what the owner says, with one node."""

    def __init__(self, channel: Channel, node: Node, nursery: trio.Nursery) -> None:
        self._channel = channel
        self._node = node
        self._nursery = nursery
        self._stream: ByteStream | None = None
        self._stall = _Stall()
        self._targets: dict[str, Target] = {}
        self._requests: dict[str, Callable[[Message], Awaitable[None]]] = {
            "serve": self._serve,
            "dial": self._dial,
            "hang up": self._hang_up,
            "echo": self._echo,
            "send": self._send_soon,
            "places": self._tell_places,
            "look up": self._look_up,
            "knock": self._knock,
            **PartyGateways(channel, node, nursery).requests,
        }

    async def obey(self, message: Message) -> None:
        """Do one request and tell what came of it."""
        await self._requests[message["do"]](message)

    async def _hang_up(self, _message: Message) -> None:
        await self._node.aclose()
        await self._channel.tell({"event": "hung up"})

    async def _tell_places(self, _message: Message) -> None:
        await self._channel.tell({"event": "places", **self._node.places()})

    async def _send_soon(self, message: Message) -> None:
        self._nursery.start_soon(self._send, message)

    # The called side

    async def _serve(self, message: Message) -> None:
        """message: level (the least), directory (there already; where files go)."""
        directory = Path(message["directory"])
        files = FileService(
            directory, accept=accept_everybody, on_received=self._received, watch=self._watch
        )
        offers = {
            ping.SERVICE: ServiceOffer(self._answer_pings),
            FILES: ServiceOffer(files.handle),
        }
        await self._nursery.start(self._run_service, offers, message["level"])
        await self._channel.tell({"event": "published"})

    async def _run_service(
        self,
        offers: dict[str, ServiceOffer],
        level: int,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        await self._node.serve(offers, level=level, task_status=task_status)

    async def _answer_pings(self, stream: ByteStream) -> None:
        await self._channel.tell({"event": "called", **_peer(stream)})
        await ping.answer_pings(stream)

    def _watch(self, _offer: Offer, _peer: Peer) -> Callable[[int, int], None]:
        self._stall = _Stall()
        return self._stall.progress

    async def _received(self, file: ReceivedFile) -> None:
        await self._channel.tell(
            {
                "event": "received",
                "path": str(file.path),
                "sender": str(file.sender),
                "stall_s": self._stall.longest,
            }
        )

    # The calling side

    async def _dial(self, message: Message) -> None:
        """message: address, level."""
        now = trio.current_time
        started = now()
        target = await self._resolve(message["address"])
        stream = await self._node.connect(target, ping.SERVICE, level=message["level"])
        await ping.ping_once(stream, b"\0", now)
        took = now() - started
        self._stream = stream
        await self._channel.tell({"event": "dialled", "ms": took * 1e3, **_peer(stream)})

    async def _resolve(self, address: str) -> Target:
        """Look an address up once: a program that knows whom it calls keeps the identity key."""
        if address not in self._targets:
            self._targets[address] = await self._node.resolve(Address.parse(address))
        return self._targets[address]

    async def _echo(self, message: Message) -> None:
        """message: count."""
        if self._stream is None:
            raise RuntimeError("echo before dial")
        times = [
            await ping.ping_once(self._stream, os.urandom(ping.PAYLOAD), trio.current_time)
            for _ in range(message["count"])
        ]
        found = ping.RoundTrips(times)
        p50, p99 = found.percentile(50) * 1e3, found.percentile(99) * 1e3
        await self._channel.tell({"event": "echoed", "p50_ms": p50, "p99_ms": p99})

    async def _look_up(self, message: Message) -> None:
        """message: address. Fetches its descriptor and calls nobody."""
        target = await self._node.resolve(Address.parse(message["address"]))
        await self._channel.tell({"event": "found", "expiry": await self._node.look_up(target)})

    async def _knock(self, message: Message) -> None:
        """message: address, level, service: one that is not there."""
        target = await self._node.resolve(Address.parse(message["address"]))
        try:
            stream = await self._node.connect(target, message["service"], level=message["level"])
            await stream.aclose()
        except CallDeniedError as error:
            await self._channel.tell({"event": "refused", "why": str(error)})
        else:
            await self._channel.tell({"event": "let in"})

    async def _send(self, message: Message) -> None:
        """message: address, level, file, unsent: whether to tell of a failure and go on.

        The time counts from the offer to the receipt.
        """
        try:
            sent, took = await self._send_file(message)
        except _UNSENT as error:
            if not message.get("unsent"):
                raise
            await self._channel.tell({**failure(error), "event": "unsent"})
            return
        await self._channel.tell(
            {"event": "sent", "seconds": took, "bytes": sent.size, "sha256": sent.sha256.hex()}
        )

    async def _send_file(self, message: Message) -> tuple[SentFile, float]:
        target = await self._resolve(message["address"])
        prepared = await PreparedFile.prepare(Path(message["file"]))
        stream = await self._node.connect(target, FILES, level=message["level"])
        progress = _Progress()
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(progress.report, self._channel)
            sent = await send_file(stream, prepared, progress=progress.update)
            took = trio.current_time() - started
            nursery.cancel_scope.cancel()
        return sent, took


class _Stall:
    """The longest time in which nothing of a file arrived, between its first and last byte."""

    def __init__(self) -> None:
        self.longest = 0.0  # seconds
        self._last: float | None = None

    def progress(self, _done: int, _total: int) -> None:
        now = trio.current_time()
        if self._last is not None:
            self.longest = max(self.longest, now - self._last)
        self._last = now


class _Progress:
    """Tells the owner now and then how far a file is: not at every piece."""

    def __init__(self) -> None:
        self._done = 0
        self._total = 0

    def update(self, done: int, total: int) -> None:
        self._done, self._total = done, total

    async def report(self, channel: Channel) -> None:
        while True:
            await trio.sleep(PROGRESS_S)
            await channel.tell({"event": "progress", "done": self._done, "total": self._total})


def _peer(stream: ByteStream) -> dict[str, Any]:
    address = None if stream.peer.address is None else str(stream.peer.address)
    return {"peer": address, "level": stream.peer.level}
