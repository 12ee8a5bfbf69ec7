"""The key schedule against the slow implementation, and that it cannot be run backwards."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.session.cell import CellOpener, CellSealer
from peerstream.node.protocol.session.errors import (
    ForgedCellError,
    JoinBlobError,
    PathNumberError,
)
from peerstream.node.protocol.session.paths import join_shape
from peerstream.node.protocol.session.schedule import (
    Direction,
    PathChain,
    SessionSecrets,
    next_generation,
    resumed_secrets,
    session_secrets,
    switched_key,
)
from tests.node.protocol.session.joined import entropy_of
from tests.reference import slow_session as slow

VECTOR = json.loads((Path(__file__).parents[3] / "vectors" / "session-schedule.json").read_text())
CHAIN, SHARED = bytes.fromhex(VECTOR["chain"]), bytes.fromhex(VECTOR["shared"])
DOWN = Direction.TO_CALLER


def cell_buffer(text, size):
    return memoryview(bytearray(24) + bytearray(text.ljust(size - 16, b"\0")) + bytearray(16))


def test_frozen_schedule():
    chain = PathChain(CHAIN, DOWN)
    assert [chain.take(path).hex() for path in range(6)] == VECTOR["path_keys"]
    key = bytes.fromhex(VECTOR["path_keys"][3])
    assert next_generation(key).hex() == VECTOR["generations"][1]
    assert switched_key(key, SHARED, 1, 3, DOWN).hex() == VECTOR["switched"]
    renewed = PathChain(CHAIN, DOWN)
    renewed.rekey(SHARED, 4)
    assert [renewed.take(path).hex() for path in (4, 5)] == VECTOR["rekeyed_from_4"]
    fresh = SessionSecrets((b"", b""), b"i" * 16, b"r" * 32)
    resumed = resumed_secrets(fresh, CHAIN, SHARED, 6)
    assert [chain.hex() for chain in resumed.chains] == VECTOR["resumed"]


def test_frozen_cell():
    frozen = VECTOR["cell"]
    sealer = CellSealer(bytes.fromhex(VECTOR["path_keys"][3]), 3, DOWN)
    opener = CellOpener(bytes.fromhex(VECTOR["path_keys"][3]), 3, DOWN)
    text = bytes.fromhex(frozen["text"])
    for _ in range(frozen["sequence"] + 1):
        buffer = cell_buffer(text, 1_024)
        sealer.seal(buffer)
        sealed = bytes(buffer[8:-16])
        received = memoryview(bytearray(8) + bytearray(sealed) + bytearray(16))
        assert opener.open(received) == text
    assert sealed.hex() == frozen["sealed"]


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_session_secrets_equal_the_slow_ones(key, transcript):
    ours = session_secrets(key, transcript, None)
    chains, session_id, resume_key = slow.secrets(key, transcript)
    assert (list(ours.chains), ours.session_id, ours.resume_key) == (chains, session_id, resume_key)


def test_secrets_do_not_show():
    assert "11" * 8 not in repr(session_secrets(b"\x11" * 32, b"\x22" * 32, None))


@given(st.integers(0, 600), st.integers(0, 40))
def test_what_an_endpoint_holds_opens_no_earlier_cell(later, switch_at):
    """After a ratchet or a switch no key reachable from what is held opens the first cell."""
    start = b"\x05" * 32
    sealer = CellSealer(start, 0, DOWN)
    first = cell_buffer(b"secret", 1_024)
    sealer.seal(first)
    sealed = bytes(first[8:-16])
    for index in range(later):
        if index == switch_at:
            sealer.switch(SHARED, 1)
        sealer.seal(cell_buffer(b"", 1_024))
    held = sealer._key
    if later < 255 and later <= switch_at:
        assert held == start
        return
    for _ in range(4):
        opener = CellOpener(held, 0, DOWN)
        with pytest.raises(ForgedCellError):
            opener.open(memoryview(bytearray(8) + bytearray(sealed) + bytearray(16)))
        held = next_generation(held)


def test_both_ends_ratchet_and_switch_in_step():
    sealer, opener = CellSealer(CHAIN, 7, DOWN), CellOpener(CHAIN, 7, DOWN)
    for index in range(1_000):
        if index in (255, 256, 700):  # 255: the switch is followed at once by the ratchet of 256
            sealer.switch(SHARED, index)
            opener.switch(SHARED, index)
        buffer = cell_buffer(index.to_bytes(4, "big"), 1_024)
        sealer.seal(buffer)
        assert opener.open(buffer)[:4] == index.to_bytes(4, "big")


def test_a_path_key_is_given_once_and_not_too_far_ahead():
    chain = PathChain(CHAIN, DOWN)
    chain.take(4)
    chain.take(2)
    for number in (2, 4, 5 + 256):
        with pytest.raises(PathNumberError):
            chain.take(number)
    with pytest.raises(PathNumberError):
        chain.rekey(SHARED, 4)
    with pytest.raises(PathNumberError):
        chain.rekey(SHARED, 5 + 257)
    for number in range(5, 5_000, 2):
        chain.take(number)
    assert len(chain._skipped) <= 256


def test_a_join_blob_has_the_shape_of_message_2_and_is_bound_to_its_path():
    shape = join_shape(entropy_of(1))
    assert len(shape) == 1_120
    assert shape[31] < 128  # as every X25519 public key
    blob = CellSealer(CHAIN, 2, DOWN).seal_join(shape)
    assert len(blob) == 2_048
    opener = CellOpener(CHAIN, 2, DOWN)
    opener.open_join(blob)
    assert opener.sequence == 1
    with pytest.raises(JoinBlobError):
        CellOpener(CHAIN, 4, DOWN).open_join(blob)


@given(st.integers(0, 2_047), st.integers(0, 7))
def test_any_flipped_bit_of_a_join_blob_is_refused(where, bit):
    blob = bytearray(BLOB)
    blob[where] ^= 1 << bit
    with pytest.raises(JoinBlobError):
        CellOpener(CHAIN, 2, DOWN).open_join(bytes(blob))


@given(st.binary(max_size=3_000))
def test_arbitrary_join_blobs_are_refused(blob):
    with pytest.raises(JoinBlobError):
        CellOpener(CHAIN, 2, DOWN).open_join(blob)


BLOB = CellSealer(CHAIN, 2, DOWN).seal_join(join_shape(entropy_of(1)))
