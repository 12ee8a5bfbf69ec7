"""The fork server of a network on machines apart: each process starts on its own (SPEC 14.7).

``python -m peerstream.node.lab.shaped.forkserver CONTROL SECONDS NAMESPACES``; NAMESPACES is a JSON
object: the path of a namespace for each name of a process. Others stay where they are.
"""

import json
import os
import socket
import sys
from typing import Final

from peerstream.node.lab.forkserver import ForkServer
from peerstream.node.lab.kernel import die_with_parent
from peerstream.node.lab.shaped.machines import enter

FORKSERVER: Final = "peerstream.node.lab.shaped.forkserver"


def main(control: str, ending_s: str, namespaces: str) -> None:
    """Serve, as the fork server of one machine does."""
    paths: dict[str, str] = json.loads(namespaces)

    def prepare(name: str) -> None:
        if name in paths:
            enter(paths[name])

    die_with_parent(os.getppid())
    ForkServer(socket.socket(fileno=int(control)), float(ending_s), prepare).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
