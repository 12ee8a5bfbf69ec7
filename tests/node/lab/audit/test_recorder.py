"""What a recorded process leaves behind: real sockets and ciphers, in a process of its own."""

import os
import subprocess
import sys

import pytest

from peerstream.node.lab.audit.recorder import Recorder, RecordsDamagedError, Tap, read_records

PROGRAM = """
import sys
from pathlib import Path
from peerstream.node.lab.audit.recorder import RECORDER
from peerstream.node.lab.audit.taps import install
install()
import trio
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

async def sockets():
    listener, = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    there = trio.socket.socket()
    await there.bind(("127.201.0.1", 0))
    await there.connect(("127.0.0.1", port))
    here = await listener.accept()
    await there.send(b"asked over a socket")
    buffer = bytearray(100)
    size = await here.socket.recv_into(buffer)
    await here.send_all(b"answered: " + buffer[:size])
    await there.recv(100)

def ciphers():
    aead = AESGCM(bytes(32))
    sealed = aead.encrypt(bytes(12), b"sealed in secret", b"beside it")
    aead.decrypt(bytes(12), sealed, b"beside it")
    buffer = bytearray(b"in one buffer" + bytes(16))
    aead.encrypt_into(bytes(12), memoryview(buffer)[:13], None, buffer)
    aead.encrypt(bytes(12), b"", b"only hashed")
    Cipher(AES256(bytes(32)), CTR(bytes(16))).encryptor().update(b"a plain stream")

ciphers()  # before it begins nothing is written
RECORDER.begin(Path(sys.argv[1]))
trio.run(sockets)
ciphers()
"""


def run(program, *arguments):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    path = tmp_path_factory.mktemp("audit") / "process.records"
    done = run(PROGRAM, path)
    assert done.returncode == 0, done.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    return list(read_records(path))


def of(records, tap):
    return [record for record in records if record.tap is tap]


def test_both_ends_of_a_connection_are_recorded(records):
    (connected,), (accepted,) = of(records, Tap.CONNECTED), of(records, Tap.ACCEPTED)
    assert b"127.0.0.1" in connected.parts[0]
    assert b"127.201.0.1" in accepted.parts[0]
    assert connected.context != accepted.context


def test_all_bytes_of_a_socket_are_recorded_with_their_connection(records):
    (connected,), (accepted,) = of(records, Tap.CONNECTED), of(records, Tap.ACCEPTED)
    asked, answered = b"asked over a socket", b"answered: asked over a socket"
    for tap, expected in (
        (Tap.SENT, {connected.context: asked, accepted.context: answered}),
        (Tap.RECEIVED, {accepted.context: asked, connected.context: answered}),
    ):
        found = {record.context: record.parts[0] for record in of(records, tap)}
        assert found == expected


def test_plaintexts_are_recorded_on_both_sides_of_a_cipher(records):
    sealed = [record.parts[0] for record in of(records, Tap.SEALED)]
    assert sealed == [b"sealed in secret", b"in one buffer", b"a plain stream"]
    (opened,) = of(records, Tap.OPENED)
    assert opened.parts[1:] == (b"sealed in secret", b"beside it")
    assert opened.parts[0] == of(records, Tap.SEALED)[0].parts[1]
    assert opened.context == of(records, Tap.SEALED)[0].context


def test_bindings_are_recorded(records):
    events = [record.parts for record in of(records, Tap.EVENT)]
    assert any(name == b"socket.bind" and b"127.201.0.1" in text for name, text, _ in events)


def test_records_are_numbered_in_time(records):
    assert [record.number for record in records] == list(range(len(records)))
    assert [record.at for record in records] == sorted(record.at for record in records)


def test_taps_that_come_too_late_are_refused():
    done = run("import trio\nfrom peerstream.node.lab.audit.taps import install\ninstall()")
    assert done.returncode == 1
    assert "TooLateError: trio" in done.stderr


def test_a_way_to_read_that_is_not_recorded_is_refused(tmp_path):
    program = (
        "import socket, sys\n"
        "from pathlib import Path\n"
        "from peerstream.node.lab.audit.recorder import RECORDER\n"
        "from peerstream.node.lab.audit.taps import install\n"
        "install(); RECORDER.begin(Path(sys.argv[1]))\n"
        "socket.socket(type=socket.SOCK_DGRAM).recvfrom(1)\n"
    )
    done = run(program, tmp_path / "records")
    assert "socket.recvfrom is not recorded" in done.stderr


def test_records_that_are_cut_are_refused(tmp_path):
    path, recorder = tmp_path / "records", Recorder()
    recorder.write(Tap.EVENT, 0, b"before it begins")
    recorder.begin(path)
    recorder.write(Tap.EVENT, 7, b"name", b"text")
    whole = path.read_bytes()
    (record,) = read_records(path)
    assert (record.tap, record.context, record.parts) == (Tap.EVENT, 7, (b"name", b"text", b""))
    for size in range(1, len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(RecordsDamagedError):
            list(read_records(path))
    with pytest.raises(FileExistsError):
        Recorder().begin(path)
    os.close(recorder._file)
