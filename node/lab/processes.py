"""The processes of a private network, as the one that starts them sees them (SPEC 14.2)."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Self

import trio

from peerstream.node.lab.channel import Channel, Message, encode, open_pair
from peerstream.node.lab.errors import ProcessEndedError, ProcessFailedError

ENDING_S: Final = 5.0
SERVER: Final = "peerstream.node.lab.forkserver"
_SERVER_LOG: Final = "forkserver.log"
_LOG_TAIL: Final = 2_000
_ANSWER_MAX: Final = 32


class LabProcess:
    """A forked process: it hears `tell` and says what `event` returns."""

    def __init__(self, name: str, pid: int, channel: Channel, log: Path) -> None:
        self.name = name
        self.pid = pid
        self.log = log
        self.channel = channel

    def __repr__(self) -> str:
        return f"<{self.name}, process {self.pid}>"

    async def tell(self, message: Message) -> None:
        """Send it a message."""
        await self.channel.tell(message)

    async def event(self, *names: str) -> Message:
        """Return its next event of one of these names, passing over others.

        Raises ProcessFailedError when it gives up instead, ProcessEndedError when it is gone.
        """
        while (message := await self.channel.hear()) is not None:
            if message["event"] == "failed":
                raise ProcessFailedError(f"{self.name}: {message['name']}: {message['message']}")
            if message["event"] in names:
                return message
        raise self.ended()

    async def ask(self, message: Message, answer: str) -> Message:
        """Send a message and return the event that answers it. Raises as `event`."""
        await self.tell(message)
        return await self.event(answer)

    def ended(self) -> ProcessEndedError:
        """Return the error that says that it is gone, with its last words."""
        return ProcessEndedError(f"{self.name} ended; {self.log} says: {self._last_words()}")

    def _last_words(self) -> str:
        data = self.log.read_bytes()[-_LOG_TAIL:] if self.log.exists() else b""
        lines = data.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing"

    def close(self) -> None:
        """Close our end of its channel."""
        self.channel.close()


class LabProcesses:
    """Forks processes, all of which end with this one; `async with` ends them at its end."""

    def __init__(
        self, server: subprocess.Popen[bytes], control: socket.socket, logs: Path, ending_s: float
    ) -> None:
        self._server = server
        self._control = control
        self._logs = logs
        self._ending_s = ending_s
        self._running: list[LabProcess] = []

    @classmethod
    def start(
        cls, logs: Path, ending_s: float = ENDING_S, program: Sequence[str] = (SERVER,)
    ) -> Self:
        """Start the process that forks the others. logs: a directory for what they write.

        ending_s: how long they may take to end before they are killed. program: the fork server's
        module, and its arguments behind those that each fork server has.
        Call it in the main thread: the kernel ends it with the thread that started it.
        """
        ours, theirs = open_pair()
        module, *more = program
        command = [sys.executable, "-m", module, str(theirs.fileno()), str(ending_s), *more]
        log = os.open(logs / _SERVER_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            server = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C is for us, who then end it in order
            )
        finally:
            theirs.close()
            os.close(log)
        return cls(server, ours, logs, ending_s)

    @property
    def pid(self) -> int:
        """The process whose end ends all."""
        return self._server.pid

    @property
    def running(self) -> list[LabProcess]:
        """All that were forked."""
        return list(self._running)

    @property
    def pids(self) -> list[int]:
        """It and all that it forked."""
        return [self.pid, *(process.pid for process in self._running)]

    def preload(self, modules: Iterable[str]) -> None:
        """Have it import modules before it forks again; returns at once."""
        self._control.send(encode({"do": "preload", "modules": list(modules)}))

    async def fork(self, name: str, program: str, options: dict[str, Any]) -> LabProcess:
        """Start a process that runs ``module:function(socket, options)``.

        Raises ProcessEndedError.
        """
        ours, theirs = open_pair()
        path = self._logs / f"{name}.log"
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        message = {"do": "fork", "name": name, "program": program, "options": options}
        try:
            socket.send_fds(self._control, [encode(message)], [theirs.fileno(), log])
        finally:
            theirs.close()
            os.close(log)
        process = LabProcess(name, 0, Channel(ours), path)
        try:
            process.pid = int((await process.event("started"))["pid"])
        except ProcessEndedError:
            if self._server.poll() is None:
                raise
            server = LabProcess("forkserver", self.pid, process.channel, self._logs / _SERVER_LOG)
            raise server.ended() from None
        self._running.append(process)
        return process

    def forget(self, process: LabProcess) -> None:
        """Let go of one that is gone."""
        self._running.remove(process)
        process.close()

    def detach(self) -> None:
        """Let all of them outlive us."""
        self._control.send(encode({"do": "detach"}))
        self._control.recv(_ANSWER_MAX)
        self._control.close()
        for process in self._running:
            process.close()

    async def stop(self) -> None:
        """End them; returns when they are gone. After `detach` it does nothing."""
        if self._control.fileno() < 0:
            return
        self._control.close()
        ended = os.pidfd_open(self._server.pid)
        with trio.CancelScope(shield=True):
            with trio.move_on_after(3 * self._ending_s + ENDING_S):
                await trio.lowlevel.wait_readable(ended)
            self._server.kill()
            self._server.wait()
        os.close(ended)
        for process in self._running:
            process.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.stop()
