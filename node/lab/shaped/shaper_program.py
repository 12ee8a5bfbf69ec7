"""The process that makes the machines and carries every packet between them (SPEC 14.7)."""

import json
import os
import select
import socket
import time
from random import Random
from typing import Any, Final

from peerstream.node.lab.channel import MESSAGE_MAX, encode
from peerstream.node.lab.program import Options, failure
from peerstream.node.lab.shaped.errors import NamespaceError, NotRootError
from peerstream.node.lab.shaped.machines import Machine, leave, make_machine
from peerstream.node.lab.shaped.shape import LinkShape, Shaper

_PACKET_MAX: Final = 65_536
_BURST: Final = 32  # packets read from one machine before another has its turn
_IDLE_S: Final = 1.0
_BEFORE_OTHERS: Final = -10  # a network does not wait until programs have had their turn


def run(end: socket.socket, options: Options) -> int:
    """Carry packets until the owner lets go of us.

    options: machines, addresses by name; mtu; congestion; shape, as `LinkShape`; seed.
    """
    try:
        machines = {
            name: make_machine(address, options["mtu"], options["congestion"])
            for name, address in options["machines"].items()
        }
        leave()
    except (NamespaceError, NotRootError) as error:
        end.send(encode(failure(error)))
        return 1
    os.setpriority(os.PRIO_PROCESS, 0, _BEFORE_OTHERS)
    end.send(encode(_ready(machines)))
    _Carrier(end, options, machines).run()
    return 0


def _ready(machines: dict[str, Machine]) -> dict[str, Any]:
    return {
        "event": "ready",
        "namespaces": {
            name: f"/proc/{os.getpid()}/fd/{machine.namespace}"
            for name, machine in machines.items()
        },
        "congestion": sorted({machine.congestion for machine in machines.values()}),
    }


class _Carrier:
    """One loop over the machines' packets and the owner's requests."""

    def __init__(self, end: socket.socket, options: Options, machines: dict[str, Machine]) -> None:
        chance = Random(options["seed"])  # noqa: S311 - it has to come out the same again
        self._end = end
        self._shaper = Shaper(LinkShape(**options["shape"]), chance.random)
        self._addresses = {
            name: socket.inet_aton(address) for name, address in options["machines"].items()
        }
        self._cards = {self._addresses[name]: each.packets for name, each in machines.items()}

    def run(self) -> None:
        shaper, owner = self._shaper, self._end.fileno()
        sources = [owner, *self._cards.values()]
        while True:
            wait = min(_IDLE_S, max(0.0, shaper.next_at - time.monotonic()))
            ready, _, _ = select.select(sources, [], [], wait)
            now = time.monotonic()
            for source in ready:
                if source != owner:
                    self._read(source, now)
                elif not self._obey():
                    return
            self._deliver(time.monotonic())

    def _read(self, card: int, now: float) -> None:
        for _ in range(_BURST):
            try:
                packet = os.read(card, _PACKET_MAX)
            except BlockingIOError:
                return
            self._shaper.take(packet, now)

    def _deliver(self, now: float) -> None:
        counts = self._shaper.counts
        for address, packet in self._shaper.arrived(now):
            card = self._cards.get(address)
            if card is None:
                counts.stray += 1
                continue
            try:
                os.write(card, packet)
            except BlockingIOError:  # its queue is full, as a real card's may be
                counts.overflowed += 1
            else:
                counts.carried += 1

    def _obey(self) -> bool:
        """Do one request; False when there are no more."""
        data = self._end.recv(MESSAGE_MAX)
        if not data:
            return False
        message = json.loads(data)
        match message["do"]:
            case "shape":
                shape = message["shape"] and LinkShape(**message["shape"])
                source, target = (self._addresses[message[key]] for key in ("source", "target"))
                self._shaper.set_shape(source, target, shape)
                self._end.send(encode({"event": "shaped"}))
            case "count":
                counts = self._shaper.counts
                fields = ("carried", "lost", "overflowed", "stray")
                found = {name: getattr(counts, name) for name in fields}
                self._end.send(encode({"event": "counted", **found}))
        return True
