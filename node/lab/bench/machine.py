"""What the machine is that figures come from."""

import os
import platform
import re
from pathlib import Path
from typing import Any

_CPU = Path("/proc/cpuinfo")
_CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")


def describe_machine() -> dict[str, Any]:
    """Return the block `machine`: cpu, cores, kernel, tcp_cc, python."""
    found = re.search(r"^model name\s*:\s*(.+)$", _CPU.read_text(), re.MULTILINE)
    return {
        "cpu": platform.machine() if found is None else found[1],
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "tcp_cc": _CONTROL.read_text().strip(),
        "python": platform.python_version(),
    }
