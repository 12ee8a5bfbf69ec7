"""The fork server of a network under audit: it records what it forks from the start (SPEC 15.2).

``python -m peerstream.node.lab.audit.forkserver CONTROL SECONDS DIRECTORY``; DIRECTORY holds
``plan.json`` and gets one file of records for each process.
"""

import os
import socket
import sys
from pathlib import Path

from peerstream.node.lab.audit.places import PLAN, records_path
from peerstream.node.lab.audit.recorder import RECORDER
from peerstream.node.lab.audit.taps import install


def main(control: str, ending_s: str, directory: str) -> None:
    """Serve, as the fork server without audit does."""
    # Behind `install`: they import trio, and with it take the classes that are to be recorded.
    from peerstream.node.lab.audit.plants import plant  # noqa: PLC0415
    from peerstream.node.lab.forkserver import ForkServer  # noqa: PLC0415
    from peerstream.node.lab.kernel import die_with_parent  # noqa: PLC0415

    def prepare(name: str) -> None:
        RECORDER.begin(records_path(Path(directory), name))
        plant(Path(directory) / PLAN, name)

    die_with_parent(os.getppid())
    ForkServer(socket.socket(fileno=int(control)), float(ending_s), prepare).run()


if __name__ == "__main__":
    install()
    main(*sys.argv[1:])
