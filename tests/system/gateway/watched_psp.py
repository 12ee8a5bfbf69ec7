"""`psp`, with every place that the process connects to, and every name it looks up, in a file.

`python watched_psp.py FILE up …`: one line for each, `connect ('127.0.0.1', 4001)`. Whatever module
does it, Python tells its audit hooks first.
"""

import os
import sys

from peerstream.node.cli import main

EVENTS = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "subprocess.Popen": 0,
}


def watch(file: int, event: str, arguments: tuple[object, ...]) -> None:
    """Note an event that leads out of the process."""
    if event in EVENTS:
        place = arguments[EVENTS[event]]
        os.write(file, f"{event} {place}\n".encode())


if __name__ == "__main__":
    record = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    sys.addaudithook(lambda event, arguments: watch(record, event, arguments))
    sys.exit(main())
