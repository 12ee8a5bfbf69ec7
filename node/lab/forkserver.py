"""The process that has imported everything and forks the others (SPEC 14.2).

``python -m peerstream.node.lab.forkserver CONTROL SECONDS`` reads requests from the inherited
descriptor CONTROL. Importing libp2p costs a second of CPU and 60 MB; a forked process has it in a
few milliseconds and shares the memory. One thread, and no event loop before the fork: a child
inherits neither locks that nobody will release nor timers that are not its own.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Final, NoReturn

from peerstream.node.lab.channel import MESSAGE_MAX, encode
from peerstream.node.lab.kernel import die_with_parent, name_process, outlive_parent

_POLL_S: Final = 0.01
_DESCRIPTORS: Final = 2  # of a fork request: the channel and the log


class ForkServer:
    """Serves one control socket until it ends or SIGTERM comes; then ends its children."""

    def __init__(
        self,
        control: socket.socket,
        ending_s: float,
        prepare: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """Serve `control`. ending_s: how long children may take to end before they are killed.

        prepare: called with its name in each child, before anything of its program.
        """
        self._prepare = prepare
        self._control = control
        self._ending_s = ending_s
        self._children: set[int] = set()
        self._detached = False
        self._ending = False
        self._wake, wake = socket.socketpair()
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._wake_writer = wake
        signal.signal(signal.SIGTERM, self._on_terminate)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _on_terminate(self, _number: int, _frame: FrameType | None) -> None:
        self._ending = True

    def run(self) -> None:
        """Serve; returns when all children are gone."""
        while not self._ending:
            sources = [self._wake] if self._detached else [self._wake, self._control]
            ready, _, _ = select.select(sources, [], [])
            if self._wake in ready:
                self._wake.recv(4_096)
                self._reap()
            if self._control in ready and not self._serve_one():
                break
        self._end_children()

    def _serve_one(self) -> bool:
        """Serve a request; False when there are no more."""
        data, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE_MAX, _DESCRIPTORS)
        if not data:
            return False
        request: dict[str, Any] = json.loads(data)
        match request["do"]:
            case "preload":
                _preload(request["modules"])
            case "fork":
                self._fork(request, descriptors)
            case "detach":
                self._detach()
        return True

    def _detach(self) -> None:
        outlive_parent()
        self._detached = True
        self._control.send(b"detached")
        self._control.close()

    def _fork(self, request: dict[str, Any], descriptors: Sequence[int]) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_child(request, descriptors, parent)
        self._children.add(pid)
        for descriptor in descriptors:
            os.close(descriptor)

    def _become_child(
        self, request: dict[str, Any], descriptors: Sequence[int], parent: int
    ) -> NoReturn:
        code = 1
        try:
            die_with_parent(parent)
            self._forget()
            channel, log = descriptors
            _redirect(log)
            name_process(f"psp {request['name']}")
            self._prepare(request["name"])
            end = socket.socket(fileno=channel)
            end.send(encode({"event": "started", "pid": os.getpid()}))
            code = _load(request["program"])(end, request["options"])
        except BaseException:  # noqa: BLE001 - a supervisor: whatever it is goes to the log
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _forget(self) -> None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for end in (self._control, self._wake, self._wake_writer):
            end.close()

    def _reap(self) -> None:
        while self._children:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._children.discard(pid)

    def _end_children(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self._children:
                os.kill(pid, number)  # ours and not yet reaped, so the id is still its own
            deadline = time.monotonic() + self._ending_s
            while self._children and time.monotonic() < deadline:
                self._reap()
                time.sleep(_POLL_S)


def _preload(modules: Sequence[str]) -> None:
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # else the first collection in a child touches, and so copies, every page


def _load(program: str) -> Callable[[socket.socket, dict[str, Any]], int]:
    module, _, name = program.partition(":")
    found: Callable[[socket.socket, dict[str, Any]], int]
    found = getattr(importlib.import_module(module), name)
    return found


def _redirect(log: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(nothing)
    os.close(log)


if __name__ == "__main__":
    die_with_parent(os.getppid())
    ForkServer(socket.socket(fileno=int(sys.argv[1])), float(sys.argv[2])).run()
