"""multistream-select within bounds, pipelined."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.network import negotiate
from peerstream.node.network.errors import NegotiationError, ProtocolRefusedError

GREETING = b"\x13/multistream/1.0.0\n"


class Script:
    """A stream whose other side has already said everything."""

    def __init__(self, answers: bytes, step: int = 1 << 20) -> None:
        self.answers, self.step, self.written = answers, step, b""
        self.writes = 0

    async def read(self, n: int | None = None) -> bytes:
        size = min(self.step, len(self.answers) if n is None else n)
        data, self.answers = self.answers[:size], self.answers[size:]
        return data

    async def write(self, data: bytes) -> None:
        self.written += data
        self.writes += 1


async def test_the_first_proposal_goes_out_with_the_greeting() -> None:
    stream = Script(GREETING + b"\x07/noise\n")
    assert await negotiate.propose(stream, ["/noise"]) == "/noise"
    assert stream.written == GREETING + b"\x07/noise\n"
    assert stream.writes == 1


async def test_a_refusal_leads_to_the_next_proposal() -> None:
    stream = Script(GREETING + b"\x03na\n" + b"\x07/noise\n")
    assert await negotiate.propose(stream, ["/better", "/noise"]) == "/noise"


async def test_all_refused() -> None:
    with pytest.raises(ProtocolRefusedError):
        await negotiate.propose(Script(GREETING + b"\x03na\n"), ["/noise"])


async def test_an_answer_that_was_not_asked_for() -> None:
    with pytest.raises(NegotiationError):
        await negotiate.propose(Script(GREETING + b"\x0b/plaintext\n"), ["/noise"])


async def test_responding_takes_what_is_served_and_admitted() -> None:
    async def admit(protocol: str) -> bool:
        return protocol == "/b"

    stream = Script(GREETING + b"\x03/x\n" + b"\x03/a\n" + b"\x03/b\n")
    assert await negotiate.respond(stream, {"/a", "/b"}, admit) == "/b"
    assert stream.written == GREETING + b"\x03na\n" * 2 + b"\x03/b\n"


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\x00",
        b"\xff" * 40,
        b"\x80\x80\x80\x80\x01",
        b"\xff\xff\xff\x7f" + b"a" * 100,
        b"\x05\xff\xfe\xff\xfe\n",
        b"\x05abcde",
        b"\x01\n",
        b"\x04\x00ab\n",
        b"\x03na\n" * negotiate.PROPOSALS_MAX,
        b"\x03/x\n" * 1_000,
    ],
)
async def test_junk_from_the_other_side_is_one_named_error(junk: bytes) -> None:
    with pytest.raises(NegotiationError):
        await negotiate.respond(Script(GREETING + junk), {"/noise"})
    with pytest.raises(NegotiationError):
        await negotiate.respond(Script(junk), {"/noise"})


@given(data=st.binary(max_size=600), step=st.integers(1, 64))
async def test_random_bytes_never_raise_anything_else(data: bytes, step: int) -> None:
    for prefix in (b"", GREETING):
        with pytest.raises(NegotiationError):
            await negotiate.respond(Script(prefix + data, step), {"/never/proposed/by/chance"})
        with pytest.raises((NegotiationError, ProtocolRefusedError)):
            await negotiate.propose(Script(prefix + data, step), ["/never/proposed/by/chance"])


@given(text=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=255))
async def test_messages_survive_encoding(text: str) -> None:
    stream = Script(negotiate.encode_message(text), step=1)
    assert await negotiate.read_message(stream) == text
    assert not stream.answers


def test_a_protocol_id_of_ours_must_fit() -> None:
    with pytest.raises(ValueError, match="too long"):
        negotiate.encode_message("x" * 256)
