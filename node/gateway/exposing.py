"""Serves the streams of an address from local programs that know nothing of it (SPEC 19)."""

from collections import Counter
from typing import Any, Final

import trio

from peerstream.identity.address import Address
from peerstream.node.gateway.access_log import AccessLog, NoLog
from peerstream.node.gateway.callers import IsContact
from peerstream.node.gateway.carrying import Local, carry
from peerstream.node.gateway.counted import CountedStream
from peerstream.node.gateway.datagrams_out import carry_datagrams
from peerstream.node.gateway.errors import TargetRefusedError
from peerstream.node.gateway.local_stream import LocalStream
from peerstream.node.gateway.proxy_header import encode_header
from peerstream.node.gateway.service_spec import ServiceSpec
from peerstream.node.gateway.targets import UdpTarget, connect
from peerstream.node.gateway.web.exchange import Exchanges
from peerstream.node.gateway.web.handover import HandoverRules
from peerstream.node.ports import ByteStream, IncomingStream
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.service import ServiceOffer

STREAMS_MAX: Final = 512


class ExposedService:
    """One service: who may call it, and the local program behind it."""

    def __init__(
        self,
        spec: ServiceSpec,
        own: Address,
        is_contact: IsContact,
        log: AccessLog | None = None,
    ) -> None:
        self.spec = spec
        self._own = own
        self._is_contact = is_contact
        self._log = NoLog() if log is None else log
        self.open = 0
        self.outcomes: Counter[str] = Counter()  # of streams: ended, reset, denied, refused, busy

    def offer(self) -> ServiceOffer:
        """Return what a node serves."""
        spec = self.spec
        return ServiceOffer(
            self.handle, anonymous=spec.allow.anyone, level=spec.level, accepts=True
        )

    async def handle(self, stream: IncomingStream) -> None:
        """Serve one stream to its end. Raises StreamError."""
        if not self.spec.allow.admits(stream.peer.address, self._is_contact):
            self._turn_away(stream, "denied", Status.DENIED)
        elif self.open >= STREAMS_MAX:
            self._turn_away(stream, "busy", Status.BUSY)
        else:
            self.open += 1
            try:
                await self._serve(stream)
            finally:
                self.open -= 1

    def _turn_away(self, stream: ByteStream, outcome: str, status: Status) -> None:
        stream.reset(status)
        self.outcomes[outcome] += 1
        self._note(stream, outcome)

    def _note(self, stream: ByteStream, outcome: str, **values: Any) -> None:
        self._log.note(self.spec.name, stream.peer, outcome, **values)

    async def _serve(self, stream: IncomingStream) -> None:
        if isinstance(self.spec.target, UdpTarget):
            stream.accept()
            await self._carry_datagrams(self.spec.target, stream)
            return
        try:
            local = await connect(self.spec.target)
        except TargetRefusedError:
            self._turn_away(stream, "refused", Status.CONNECT)
            return
        with local:
            stream.accept()
            if self.spec.http:
                await self._exchange(stream, local)
            else:
                await self._carry(stream, local)

    async def _carry_datagrams(self, target: UdpTarget, stream: ByteStream) -> None:
        began, outcome = trio.current_time(), "reset"
        try:
            await carry_datagrams(target, stream)
            outcome = "ended"
        finally:
            self.outcomes[outcome] += 1
            self._note(stream, outcome, seconds=_since(began))

    async def _carry(self, stream: ByteStream, local: Local) -> None:
        began, outcome = trio.current_time(), "reset"
        counted = CountedStream(stream)
        try:
            if self.spec.proxy_protocol:
                await LocalStream(local).send(encode_header(stream.peer, self._own))
            if await carry(local, counted):
                outcome = "ended"
        finally:
            self.outcomes[outcome] += 1
            size = {"received": counted.received, "sent": counted.sent}
            self._note(stream, outcome, seconds=_since(began), **size)

    async def _exchange(self, stream: ByteStream, local: Local) -> None:
        rules = HandoverRules(self.spec.name, stream.peer, LocalStream(local), self._log)
        outcome = "reset"
        try:
            switched = await Exchanges(stream, rules).run()
            if switched is not None:
                await stream.send(switched.back)
                await switched.upstream.send(switched.forth)
                await carry(local, stream)
            outcome = "ended"
        finally:
            self.outcomes[outcome] += 1


def _since(began: float) -> float:
    return round(trio.current_time() - began, 3)
