"""`psp send` and `psp receive`: files between addresses (SPEC 13.6)."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import trio
from cyclopts import Parameter

from peerstream.identity.address import Address
from peerstream.node.cli.errors import FileMissingError
from peerstream.node.cli.exits import Exit
from peerstream.node.cli.levels import LEVELS, NAMES, Level
from peerstream.node.cli.logs import log_to_stderr
from peerstream.node.cli.nodes import NodeOptions, Wish, dialled
from peerstream.node.cli.options import named_network
from peerstream.node.cli.progress import DrawnSteps, drawn_steps
from peerstream.node.cli.report import Report
from peerstream.node.cli.signals import until_interrupted
from peerstream.node.config import NetworkParameters
from peerstream.node.ports import ByteStream, Peer
from peerstream.node.roles.identity import LocalIdentity
from peerstream.node.roles.service import ServiceOffer
from peerstream.node.services import ping
from peerstream.node.services.files.disk import Progress
from peerstream.node.services.files.limits import FAREWELL_S
from peerstream.node.services.files.offer import Offer
from peerstream.node.services.files.receiver import ReceivedFile
from peerstream.node.services.files.sender import PreparedFile, SentFile, send_file
from peerstream.node.services.files.service import (
    Failure,
    FileService,
    accept_everybody,
    accept_from,
)

if TYPE_CHECKING:
    from rich.console import Console

SERVICE: Final = "file"
SENT: Final = "psp.send/1"
RECEIVED: Final = "psp.receive/1"
_MB: Final = 1e6
_DEFAULT: Final = NodeOptions()


def send(
    file: Annotated[Path, Parameter(help="What to send.")],
    target: Annotated[str, Parameter(help="An address 0x…, or a card psp:0x…")],
    /,
    *,
    level: Level = "anonymous",
    node: Annotated[NodeOptions, Parameter(name="*")] = _DEFAULT,
) -> Report:
    """Send a file to an address; a file that was cut short goes on where it ended."""
    if not file.is_file():
        raise FileMissingError(f"{file}")
    wish = Wish.of(target, LEVELS[level])
    with drawn_steps() as steps:
        return trio.run(_send, node, wish, file, steps)


async def _send(options: NodeOptions, wish: Wish, file: Path, steps: DrawnSteps) -> Report:
    prepared = await PreparedFile.prepare(file)
    async with dialled(options, wish, SERVICE, steps) as call:
        started = trio.current_time()
        steps.begin(f"send {file.name}")
        sent = await send_file(call.stream, prepared, progress=steps.transferred)
        took = trio.current_time() - started
        steps.done(f"sent {file.name}", took)
        peer = call.stream.peer
    values = {"address": call.address, **_sent(sent, file, peer, took)}
    return Report(SENT, values, lambda target: _show_sent(target, values))


def _sent(sent: SentFile, file: Path, peer: Peer, took: float) -> dict[str, Any]:
    moved = sent.size - sent.resumed_at
    return {
        "level": NAMES[peer.level],
        "hops": peer.hops,
        "file": str(file),
        "file_bytes": sent.size,
        "resumed_at": sent.resumed_at,
        "seconds": round(took, 3),
        "mb_s": round(moved / _MB / took, 3),
        "sha256": sent.sha256.hex(),
        "again": sent.again,
    }


def _show_sent(target: "Console", values: dict[str, Any]) -> None:
    if values["again"]:
        how = "had arrived before"
    else:
        how = f"arrived in {values['seconds']:.2f} s, {values['mb_s']:.1f} MB/s"
    target.print(
        f"{values['file']}, {values['file_bytes'] / _MB:.1f} MB, {how}, over {values['hops']} hops"
        f" ({values['level']}); {values['address']} confirms SHA-256 {values['sha256']}",
        soft_wrap=True,
    )


def receive(
    *,
    directory: Annotated[Path, Parameter(name="--dir", help="Where files go.")] = Path(),
    sender: Annotated[
        list[str] | None,
        Parameter(name="--from", negative="", help="Take files of this address only; repeatable."),
    ] = None,
    count: Annotated[int, Parameter(help="End after so many files; 0 goes on until Ctrl-C.")] = 0,
    level: Annotated[Level, Parameter(help="The least level that callers may use.")] = "anonymous",
    node: Annotated[NodeOptions, Parameter(name="*")] = _DEFAULT,
) -> Report:
    """Be reachable: receive files into a directory, and answer pings."""
    if not directory.is_dir():
        raise FileMissingError(f"{directory} is no directory")
    senders = None if sender is None else frozenset(Address.parse(text) for text in sender)
    network = named_network(node.network)
    identity = node.identity(network)
    with drawn_steps() as steps:
        reception = _Reception(directory.resolve(), senders, count, LEVELS[level], steps)
        return trio.run(reception.run, node, network, identity)


@dataclass(slots=True)
class _Reception:
    directory: Path
    senders: frozenset[Address] | None
    count: int
    level: int
    steps: DrawnSteps
    files: list[ReceivedFile] = field(default_factory=list)
    refused: int = 0
    _streams: int = 0
    _enough: trio.Event = field(default_factory=trio.Event)
    _idle: trio.Event = field(default_factory=trio.Event)

    async def run(
        self, options: NodeOptions, network: NetworkParameters, identity: LocalIdentity
    ) -> Report:
        from peerstream.node.library.node import open_node  # noqa: PLC0415 - libp2p, a second

        log_to_stderr()
        started = trio.current_time()
        self.steps.begin("relays of the network")
        async with open_node(options.settings(network), identity) as node:
            self.steps.done("relays of the network are known", trio.current_time() - started)
            async with trio.open_nursery() as nursery:
                started = trio.current_time()
                self.steps.begin("publish a descriptor")
                await nursery.start(_serve, node, self._offers(), self.level)
                text = f"reachable as {identity.account}"
                self.steps.done(text, trio.current_time() - started)
                interrupted = await self._until_done()
                nursery.cancel_scope.cancel()
        return self._report(identity, interrupted=interrupted)

    def _offers(self) -> dict[str, ServiceOffer]:
        accept = accept_everybody if self.senders is None else accept_from(self.senders)
        files = FileService(
            self.directory,
            accept=accept,
            on_received=self._received,
            on_failed=self._failed,
            watch=self._watch,
        )
        return {
            SERVICE: ServiceOffer(partial(self._handle, files)),
            ping.SERVICE: ServiceOffer(ping.answer_pings, anonymous=True),
        }

    async def _until_done(self) -> bool:
        """Wait for the last file or for Ctrl-C; whether it was Ctrl-C."""
        return await until_interrupted(self._until_enough) == Exit.INTERRUPTED

    async def _until_enough(self) -> None:
        await self._enough.wait()
        # The receipt of the last file is under way: without it the sender would wait and try again.
        with trio.move_on_after(FAREWELL_S):
            await self._idle.wait()

    async def _handle(self, files: FileService, stream: ByteStream) -> None:
        self._streams += 1
        try:
            await files.handle(stream)
        finally:
            self._streams -= 1
            if self._enough.is_set() and not self._streams:
                self._idle.set()

    def _watch(self, offer: Offer, peer: Peer) -> Progress:
        self.steps.begin(f"{offer.name} from {peer.address}")
        return self.steps.transferred

    async def _received(self, file: ReceivedFile) -> None:
        self.files.append(file)
        self.steps.note(f"{file.path.name}, {file.size / _MB:.1f} MB, from {file.sender}")
        if len(self.files) == self.count:
            self._enough.set()

    def _failed(self, peer: Peer, failure: Failure) -> None:
        self.refused += 1
        self.steps.note(f"{type(failure).__name__} with {peer.address or 'a stranger'}: {failure}")

    def _report(self, identity: LocalIdentity, *, interrupted: bool) -> Report:
        values = {
            "address": str(identity.account),
            "level": NAMES[self.level],
            "directory": str(self.directory),
            "files": [_file(file) for file in self.files],
            "refused": self.refused,
        }
        text = f"{len(self.files)} files received in {self.directory}"
        code = Exit.INTERRUPTED if interrupted else Exit.OK
        return Report(RECEIVED, values, lambda target: target.print(text), code=code)


async def _serve(
    node: Any,
    offers: dict[str, ServiceOffer],
    level: int,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    await node.serve(offers, level=level, task_status=task_status)


def _file(file: ReceivedFile) -> dict[str, Any]:
    return {
        "path": str(file.path),
        "file_bytes": file.size,
        "sha256": file.sha256.hex(),
        "sender": str(file.sender),
        "resumed_at": file.resumed_at,
    }
