"""What systemd wants to hear: sd_notify(3), a datagram to the socket that NOTIFY_SOCKET names."""

import os
import socket
from typing import Final

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
WATCHDOG: Final = "WATCHDOG=1"


def notify(state: str) -> None:
    """Tell whoever supervises us, if anybody does; one that is gone is no fault of ours."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path[:1] not in ("/", "@"):
        return
    address = path.replace("@", "\0", 1) if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.setblocking(False)
        try:
            made.sendto(state.encode(), address)
        except OSError:
            return


def watchdog_interval() -> float | None:
    """Return how often systemd waits for WATCHDOG, halved, in seconds; None when it does not."""
    text = os.environ.get("WATCHDOG_USEC", "")
    ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(text) / 2e6 if text.isdecimal() and int(text) > 0 and ours else None
