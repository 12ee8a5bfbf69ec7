"""One file under one fault: what the parties say, in any order they may say it."""

import hashlib
from types import SimpleNamespace

import trio

from peerstream.node.lab.channel import Channel, open_pair
from peerstream.node.lab.chaos import Chaos
from peerstream.node.lab.demo import Party
from peerstream.node.lab.faults import Fault
from peerstream.node.lab.processes import LabProcess

SIZE = 1_000
NOBODY = {"event": "places", "ways": [], "points": [[]], "stores": [[]]}


class Quiet:
    """Steps that nobody watches."""

    def begin(self, text):
        pass

    def done(self, text, seconds):
        pass

    def note(self, text):
        pass

    def transferred(self, done, total):
        pass


async def caller(channel):
    """Send the file whole at once."""
    while (message := await channel.hear()) is not None:
        match message["do"]:
            case "hang up":
                await channel.tell({"event": "hung up"})
            case "send":
                await channel.tell({"event": "progress", "done": SIZE, "total": SIZE})
            case "places":
                await channel.tell(NOBODY)
                digest = hashlib.sha256(b"arrived").hexdigest()
                await channel.tell({"event": "sent", "seconds": 0.1, "sha256": digest})


async def callee(channel, arrived):
    """Have the file before the question for places is answered."""
    while await channel.hear() is not None:
        await channel.tell({"event": "received", "path": str(arrived), "stall_s": 0.05})
        await channel.tell(NOBODY)


async def test_a_file_that_arrives_while_places_are_asked_for_is_not_waited_for(tmp_path):
    arrived = tmp_path / "arrived"
    arrived.write_bytes(b"arrived")
    ends = [[Channel(end) for end in open_pair()] for _ in range(2)]
    parties = tuple(
        Party(LabProcess(name, 0, ours, tmp_path / "log"), "0x", b"", "")
        for name, (ours, _) in zip(("caller", "callee"), ends, strict=True)
    )
    network = SimpleNamespace(relays=[], options=SimpleNamespace(directory=tmp_path))
    chaos = Chaos(network, parties, level=1, file_bytes=SIZE, seed=1)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller, ends[0][1])
            nursery.start_soon(callee, ends[1][1], arrived)
            await chaos.run([Fault("kill", "meeting point", 0.5)], Quiet(), float("inf"))
            nursery.cancel_scope.cancel()
    for channel in (*ends[0], *ends[1]):
        channel.close()
    [outcome] = chaos.outcomes
    assert outcome.finished
    assert outcome.sha256_ok
    assert (outcome.target, outcome.stall_s) == ("nobody", 0.05)
