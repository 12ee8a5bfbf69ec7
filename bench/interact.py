"""An echo, one after the other, in a process of its own: `bench/load.py` starts it.

    python bench/interact.py FRONT HOST ISOLATION

Prints the seconds of 300 echoes as JSON; those of all between a line on standard input and its end.
"""

import json
import sys
from threading import Event, Thread

from peerstream.node.lab.bench.applications import dial, echo
from peerstream.node.lab.bench.socks import Place

ECHOES = 300


def main() -> None:
    front, host, isolation = sys.argv[1:]
    over = Event()

    def wait() -> None:
        sys.stdin.read()
        over.set()

    stream, _ = dial(Place(int(front), host, isolation))
    with stream:
        print(json.dumps(echo(stream, ECHOES)), flush=True)
        sys.stdin.readline()
        Thread(target=wait, daemon=True).start()
        times: list[float] = []
        while not over.is_set():
            times += echo(stream, 1)
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
