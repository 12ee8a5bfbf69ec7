"""What a soak makes of its samples, and a flow that keeps its pace (SPEC 14.9)."""

import socket
import threading
import time
from contextlib import suppress

import pytest

from peerstream.node.lab.bench import paced, target
from peerstream.node.lab.bench.paced import PacedFlow
from peerstream.node.lab.bench.soak import Sample, flatness
from peerstream.node.lab.bench.socks import Place


def samples(memory, rates):
    return [
        Sample(10.0 * n, relay, relay, relay, rate, 1.0)
        for n, (relay, rate) in enumerate(zip(memory, rates, strict=True))
    ]


def test_what_is_flat_is_one():
    found = flatness(samples([50, 60, 100, 100, 100, 100], [1, 1, 2, 2, 2, 2]))
    assert set(found.values()) == {1.0}


def test_growth_and_slowness_are_of_the_last_third_through_the_middle_one():
    found = flatness(samples([100] * 6 + [110] * 3, [4.0] * 6 + [3.0] * 3))
    assert found["relay_mb_flat"] == pytest.approx(1.1)
    assert found["mb_s_flat"] == pytest.approx(0.75)


@pytest.mark.parametrize("count", [1, 2])
def test_few_samples_are_compared_all_the_same(count):
    assert flatness(samples([100] * count, [1.0] * count))["relay_mb_flat"] == 1.0


@pytest.mark.parametrize("upload", [False, True])
def test_a_flow_moves_its_streams_and_ends_when_told(monkeypatch, upload):
    over = threading.Event()
    opened, threads = [], []

    def connect(_place):
        near, far = socket.socketpair()
        opened.append(near)
        threads.append(threading.Thread(target=serve, args=(far,), daemon=True))
        threads[-1].start()
        if len(opened) == 3:
            over.set()
        return near

    monkeypatch.setattr(paced, "open_stream", connect)
    failures = []
    rate = target.BLOCK / 1e6 / paced.STREAM_S * 2  # two blocks a stream
    monkeypatch.setattr(over, "wait", lambda _seconds: over.is_set())
    flow = PacedFlow(Place(1, "there", "a"), rate, upload, failures.append, over)
    flow.run()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(opened) == 3
    assert flow.moved >= 4 * target.BLOCK


def serve(stream):
    """As the target does; a pair has no Nagle to switch off."""
    with stream, suppress(OSError):  # a flow that is over just closes
        command, number = stream.recv(1), int.from_bytes(stream.recv(4), "big")
        if command == b"D":
            target.send_blocks(stream, number)
            stream.recv(1)
        else:
            target.take_blocks(stream, number)
            stream.sendall(target.DONE)


def test_a_broken_flow_is_told_and_tries_again(monkeypatch):
    over, failures = threading.Event(), []

    def refuse(_place):
        raise ConnectionError("no")

    def fail(text):
        failures.append(text)
        if len(failures) == 2:
            over.set()

    monkeypatch.setattr(paced, "open_stream", refuse)
    monkeypatch.setattr(paced, "_RETRY_S", 0.0)
    began = time.monotonic()
    PacedFlow(Place(1, "there", "a"), 1.0, upload=True, fail=fail, over=over).run()
    assert failures == ["flow: no", "flow: no"]
    assert time.monotonic() - began < 60
