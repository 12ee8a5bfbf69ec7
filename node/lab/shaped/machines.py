"""Machines of their own on one computer: network namespaces, each with one TUN device (SPEC 14.7).

A namespace has no name outside: it is gone with the processes in it and the descriptors of it, so
that nothing is left behind, whatever ends first.
"""

import ctypes
import fcntl
import os
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Final, TypeVar

from peerstream.node.lab.shaped.errors import NamespaceError, NotRootError

_Result = TypeVar("_Result")

_NEW_NETWORK: Final = 0x4000_0000  # CLONE_NEWNET of unshare(2) and setns(2)
_TUN: Final = "/dev/net/tun"
_SET_INTERFACE: Final = 0x4004_54CA  # TUNSETIFF
_PACKETS_ONLY: Final = 0x1001  # IFF_TUN | IFF_NO_PI
_DEVICE: Final = "psp0"
_SETTINGS: Final = Path("/proc/sys/net")  # of whoever reads it
_CONTROL: Final = _SETTINGS / "ipv4/tcp_congestion_control"
_NO_IPV6: Final = _SETTINGS / "ipv6/conf/all/disable_ipv6"
CUBIC: Final = "cubic"  # what most senders on the Internet use


@dataclass(frozen=True, slots=True)
class Machine:
    """A namespace and its network card. namespace, packets: descriptors of this process."""

    namespace: int
    packets: int
    congestion: str


def require_root() -> None:
    """Raise NotRootError unless we may make namespaces."""
    if os.geteuid() != 0:
        raise NotRootError("namespaces are made by root")


def make_machine(address: str, mtu: int, congestion: str = "") -> Machine:
    """Make a machine with this address in 10.0.0.0/8, and move this thread into it.

    congestion: how its TCP reacts to loss; "" as this machine's does. Raises NotRootError,
    NamespaceError.
    """
    leave()
    packets = _open_tun()
    if _NO_IPV6.exists():  # its neighbour discovery is nothing but noise here
        _NO_IPV6.write_text("1")
    _run_ip(
        "link set lo up",
        f"addr add {address}/8 dev {_DEVICE}",
        f"link set {_DEVICE} mtu {mtu} up",
    )
    namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if congestion:  # as a setting of the namespace, kernels refuse it
        _run_ip(f"route change 10.0.0.0/8 dev {_DEVICE} src {address} congctl {congestion}")
    return Machine(namespace, packets, congestion or _CONTROL.read_text().strip())


def leave() -> None:
    """Move this thread into a namespace of its own, with nothing in it. Raises NotRootError."""
    require_root()
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_NETWORK):
        raise NamespaceError(os.strerror(ctypes.get_errno()))


def enter(path: str) -> None:
    """Move this thread onto a machine: sockets made from now on are there. Raises NamespaceError.

    path: of a descriptor of its namespace in /proc.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _NEW_NETWORK):
            raise NamespaceError(os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)


def run_on(path: str, act: Callable[[], _Result]) -> _Result:
    """Run `act` on a machine, in a thread of its own, and return or raise what it does."""
    found: list[_Result] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            enter(path)
            found.append(act())
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            raised.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return found[0]


def _open_tun() -> int:
    try:
        packets = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(
            packets, _SET_INTERFACE, struct.pack("16sH22x", _DEVICE.encode(), _PACKETS_ONLY)
        )
    except OSError as error:
        raise NamespaceError(f"{_TUN}: {error.strerror}") from error
    return packets


def _run_ip(*commands: str) -> None:
    lines = "".join(f"{command}\n" for command in commands)
    try:
        ended = subprocess.run(  # a program of iproute2, in this thread's namespace
            ["ip", "-batch", "-"],  # noqa: S607 - where it is differs
            input=lines,
            text=True,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise NamespaceError("there is no `ip`: install iproute2") from error
    if ended.returncode:
        raise NamespaceError(ended.stderr.strip())
