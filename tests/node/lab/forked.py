"""Programs that the tests of the fork server run in forked processes."""

import os
import random
import signal
import sys
import threading

import trio

from peerstream.node.lab.channel import Channel


class NoReasonError(Exception):
    pass


def echo(end, options):
    trio.run(_echo, Channel(end), options)
    return 0


async def _echo(channel, options):
    preloaded = "decimal" in sys.modules
    while (message := await channel.hear()) is not None:
        match message["do"]:
            case "say":
                await channel.tell({"event": "said", "word": options["word"], "pid": os.getpid()})
            case "draw":
                drawn = {"number": random.random(), "preloaded": preloaded}
                await channel.tell({"event": "drawn", "threads": threading.active_count(), **drawn})
            case "fail":
                await channel.tell({"event": "failed", "name": "NoReasonError", "message": "none"})
            case "crash":
                raise ZeroDivisionError("a crash")
    await trio.sleep_forever()


def stubborn(end, _options):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    trio.run(_stubborn, Channel(end))


async def _stubborn(channel):
    await channel.tell({"event": "ready"})
    await trio.sleep_forever()
