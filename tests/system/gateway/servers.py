"""Servers as Debian has them, on loopback, each in a directory of its own."""

import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 60


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(command: list[object], port: int, **options: object) -> Iterator[None]:
    """Run a server until the block ends; begin once it listens."""
    process = subprocess.Popen([*map(str, command)], **options)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, f"{command[0]} ended"
                assert time.monotonic() < deadline, f"{command[0]} does not listen"
                time.sleep(0.05)  # other processes: their clock is the real one
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@contextmanager
def web(directory: Path) -> Iterator[int]:
    """Python's server of files: threads, HTTP/1.0."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1"]
    with running([*command, "--directory", directory], port, stderr=subprocess.DEVNULL):
        yield port


@contextmanager
def ssh(directory: Path) -> Iterator[int]:
    """OpenSSH for this user, who comes in by the key `directory/id`."""
    port = free_port()
    for name in ("host", "id"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name])
    shutil.copy(directory / "id.pub", directory / "authorized")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it gives up root's rights
    words = {
        "HostKey": directory / "host",
        "AuthorizedKeysFile": directory / "authorized",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "ListenAddress": f"127.0.0.1:{port}",
    }
    config = directory / "sshd_config"
    config.write_text("".join(f"{name} {value}\n" for name, value in words.items()))
    with running(["/usr/sbin/sshd", "-D", "-e", "-f", config], port, stderr=subprocess.DEVNULL):
        yield port


@contextmanager
def rsync(directory: Path) -> Iterator[int]:
    """Rsync's own daemon, with one module `files`."""
    port = free_port()
    config = directory / "rsyncd.conf"
    module = f"[files]\npath = {directory}/files\nread only = yes\n"
    config.write_text(f"use chroot = no\nuid = {os.getuid()}\nport = {port}\n{module}")
    (directory / "files").mkdir()
    command = ["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", f"--config={config}"]
    with running(command, port, stdin=subprocess.DEVNULL):
        yield port


class _Dns(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Answer any question by TXT "hello", as RFC 1035 4.1 has it."""
        question, local = self.request
        asked = question[12 : question.index(b"\0", 12) + 5]
        answer = b"\xc0\x0c\0\x10\0\x01\0\0\0\0\0\x06\x05hello"
        head = question[:2] + b"\x84\0\0\x01\0\x01\0\0\0\0"
        local.sendto(head + asked + answer, self.client_address)


@contextmanager
def dns() -> Iterator[int]:
    """A name server that says hello to every question."""
    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), _Dns) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@contextmanager
def echo() -> Iterator[int]:
    """A server that sends back what comes, as many connections as there are."""

    class Echo(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while data := self.request.recv(65_536):
                self.request.sendall(data)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 512

    with Server(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def run(command: list[object], **options: object) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; it must go well."""
    done = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * PATIENCE_S,
        **options,
    )
    assert done.returncode == 0, f"{command[0]}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
