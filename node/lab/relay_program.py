"""The process of one relay of a private network (SPEC 14.3)."""

import gc
import os
import socket
from pathlib import Path
from typing import Final

import trio

from peerstream.identity.address import Address
from peerstream.node.config import load_network
from peerstream.node.lab.channel import Channel, Message
from peerstream.node.lab.program import Options, run_program
from peerstream.node.library.relay import RelaySettings, RunningRelay, open_relay
from peerstream.node.library.relay_identity import RelayIdentity, init_relay
from peerstream.node.network.peers import peer_id_of
from peerstream.node.protocol.directory.subnets import Endpoint
from peerstream.node.store.keystore import KeyFile

_POLL_S: Final = 0.05


def run(end: socket.socket, options: Options) -> int:
    """Run a relay. options: state, its directory; key, the path of its key file; made.

    made: whether both are there. If not, they are made, and possession is proved first.
    """
    return run_program(end, options, _main)


async def _main(channel: Channel, options: Options) -> None:
    unlock = KeyFile(Path(options["key"]))
    if not options["made"]:
        unlock.make(os.urandom)
        identity = init_relay(Path(options["state"]), unlock)
        message = await channel.hear()
        if message is None:
            return
        await channel.tell(_proof(identity, message))
    message = await channel.hear()
    if message is None:
        return
    async with open_relay(_settings(options, unlock, message)) as relay:
        gc.collect()
        gc.freeze()
        while not _knows_all(relay, message["relays"]):  # noqa: ASYNC110 - documents trickle in
            await trio.sleep(_POLL_S)
        await channel.tell({"event": "complete"})
        while await channel.hear() is not None:
            await channel.tell({"event": "statistics", "statistics": relay.statistics()})
        await trio.sleep_forever()  # our owner let go of us


def _knows_all(relay: RunningRelay, count: int) -> bool:
    statistics = relay.statistics()
    return bool(statistics["complete"] and statistics["relays"] == count)


def _proof(identity: RelayIdentity, message: Message) -> Message:
    operator = Address.parse(message["operator"])
    return {
        "event": "proved",
        "relay_id": identity.relay_id.hex(),
        "peer_id": str(peer_id_of(identity.relay_id)),
        "sign_key": identity.sign_key.raw.hex(),
        "possession": identity.prove(bytes.fromhex(message["network_id"]), operator).hex(),
    }


def _settings(options: Options, unlock: KeyFile, message: Message) -> RelaySettings:
    endpoint = Endpoint.parse(message["endpoint"])
    static, admission = message["static_file"], message["admission"]
    return RelaySettings(
        network=load_network(Path(message["network_file"])),
        state=Path(options["state"]),
        unlock=unlock,
        listen=(endpoint,),
        source_address=str(endpoint.address),
        static_file=None if static is None else Path(static),
        admission=None if admission is None else Path(admission),
    )
