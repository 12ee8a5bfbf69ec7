"""`psp up` as a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

PATIENCE_S = 120

# Nothing may be mapped writable and executable, as MemoryDenyWriteExecute= has it: PR_SET_MDWE.
DENIED = """
import ctypes, sys
assert ctypes.CDLL(None, use_errno=True).prctl(65, 1, 0, 0, 0) == 0
from peerstream.node.cli import main
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def up(*arguments, program=("-m", "peerstream.node.cli"), **environment):
    """Run it until the block is left; give the process and what it said when it was ready."""
    process = subprocess.Popen(
        [sys.executable, *program, "up", *map(str, arguments), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        ready = json.loads(line)
        assert ready["ok"], ready
        yield process, ready
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)


@contextmanager
def notified(path):
    """Give a function that returns what systemd would hear next."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(PATIENCE_S)
        yield lambda: systemd.recv(100).decode()
