"""Our Noise transport against the library that did the handshake."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noise.backends.default import DefaultNoiseBackend

from peerstream.node.network import noise
from peerstream.node.network.errors import NoiseMessageError, NonceExhaustedError
from peerstream.node.network.noise import (
    NOISE_AESGCM,
    NOISE_CHACHA,
    OVERHEAD,
    PLAINTEXT_MAX,
    SUITES,
    Opener,
    Sealer,
    open_messages,
)

KEY = bytes(range(32))
REFERENCE = {NOISE_CHACHA: "ChaChaPoly", NOISE_AESGCM: "AESGCM"}


def seal(sealer: Sealer, plaintext: bytes) -> bytes:
    out = bytearray(len(plaintext) + OVERHEAD)
    assert sealer.seal_into(plaintext, memoryview(out)) == len(out)
    return bytes(out)


@pytest.mark.parametrize("protocol", list(SUITES))
@pytest.mark.parametrize("number", [0, 1, 255, 256, 2**32 + 7])
def test_the_ciphers_are_those_of_the_noise_specification(protocol: str, number: int) -> None:
    reference = DefaultNoiseBackend().ciphers[REFERENCE[protocol]]()
    reference.initialize(KEY)
    sealed = seal(Sealer(SUITES[protocol], KEY, number), b"payload")
    assert sealed[2:] == reference.encrypt(KEY, number, b"", b"payload")
    assert Opener(SUITES[protocol], KEY, number).open(sealed[2:]) == b"payload"


@pytest.mark.parametrize("protocol", list(SUITES))
def test_a_changed_replayed_or_short_message_is_refused(protocol: str) -> None:
    sealer, opener = Sealer(SUITES[protocol], KEY, 0), Opener(SUITES[protocol], KEY, 0)
    first, second = seal(sealer, b"one")[2:], seal(sealer, b"two")[2:]
    for wrong in (second, first[:-1] + bytes([first[-1] ^ 1]), first[:10], b"", bytes(19)):
        with pytest.raises(NoiseMessageError):
            opener.open(wrong)
    assert opener.open(first) == b"one"
    with pytest.raises(NoiseMessageError):
        opener.open(first)
    assert opener.open(second) == b"two"


def test_the_suites_do_not_open_each_other() -> None:
    sealed = seal(Sealer(SUITES[NOISE_CHACHA], KEY, 0), b"x")[2:]
    with pytest.raises(NoiseMessageError):
        Opener(SUITES[NOISE_AESGCM], KEY, 0).open(sealed)


def test_a_used_up_key_says_so() -> None:
    suite, last = SUITES[NOISE_AESGCM], noise.MESSAGES_PER_KEY - 1
    sealer, opener = Sealer(suite, KEY, last), Opener(suite, KEY, last)
    message = seal(sealer, b"last")[2:]
    assert opener.open(message) == b"last"
    with pytest.raises(NonceExhaustedError):
        seal(sealer, b"one more")
    with pytest.raises(NonceExhaustedError):
        opener.open(message)


@given(
    plaintexts=st.lists(st.binary(min_size=1, max_size=300), max_size=8),
    cuts=st.lists(st.integers(1, 400), max_size=12),
)
def test_messages_open_wherever_the_reads_cut_them(
    plaintexts: list[bytes], cuts: list[int]
) -> None:
    sealer, opener = Sealer(SUITES[NOISE_CHACHA], KEY, 0), Opener(SUITES[NOISE_CHACHA], KEY, 0)
    stream = b"".join(seal(sealer, plaintext) for plaintext in plaintexts)
    opened: list[bytes] = []
    held = b""
    for cut in [*cuts, len(stream)]:
        held, stream = held + stream[:cut], stream[cut:]
        messages, used = open_messages(memoryview(held), opener)
        opened += messages
        held = held[used:]
    assert opened == plaintexts
    assert not held


def test_the_largest_message_fits_its_length_field() -> None:
    assert len(seal(Sealer(SUITES[NOISE_AESGCM], KEY, 0), bytes(PLAINTEXT_MAX))) == 2 + 65_535
