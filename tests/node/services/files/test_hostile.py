"""Peers that lie, stall or talk nonsense: a named error each, and the next file goes through."""

import hashlib
import tracemalloc

import pytest
import trio

from peerstream.node.ports import StreamResetError
from peerstream.node.protocol.wire.status import Status
from peerstream.node.services.files.errors import (
    AnonymousSenderError,
    EndedEarlyError,
    StalledError,
)
from peerstream.node.services.files.limits import PATIENT_S, PIECE_S, PROMPT_S
from peerstream.node.services.files.offer import Begin, Offer
from peerstream.node.services.files.receiver import receive_file
from peerstream.node.services.files.sender import PreparedFile, SentFile, send_file
from peerstream.node.services.files.service import FileService, accept_everybody
from peerstream.node.services.files.wire import Kind
from tests.node.services.files.support import (
    PIECE,
    exchange,
    inbox,
    make_file,
    names_in,
    parts_in,
)
from tests.node.services.hostile import receivers, senders
from tests.node.services.hostile.raw import EMPTY_HASH, RawPeer
from tests.node.services.hostile.receivers import RECEIVERS
from tests.node.services.hostile.senders import DATA, HONEST, SENDERS
from tests.node.services.memory_streams import MemoryStream, memory_stream_pair

BREACHES = {"MessageError", "MessageTooLongError", "UnexpectedMessageError", "WrongOffsetError"}


@pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.__name__)
async def test_a_hostile_sender(tmp_path, sender):
    directory = inbox(tmp_path)
    service = FileService(directory, accept=accept_everybody)
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.handle, theirs)
        await sender(RawPeer(ours))
    assert service.failures == {SENDERS[sender]: 1}
    assert names_in(directory) == set()
    assert theirs.closed
    if SENDERS[sender] in BREACHES:
        with pytest.raises(StreamResetError) as raised:
            await ours.send(b"x")
        assert raised.value.status is Status.PROTO
    outcome = await exchange(make_file(tmp_path / "next.bin", 99), directory)
    assert isinstance(outcome.sent, SentFile)


@pytest.mark.parametrize("receiver", RECEIVERS, ids=lambda receiver: receiver.__name__)
async def test_a_hostile_receiver(tmp_path, receiver):
    path = make_file(tmp_path / "a.bin", 5 * PIECE)
    ours, theirs = memory_stream_pair(capacity=50_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receiver, RawPeer(theirs))
        with pytest.raises(RECEIVERS[receiver]):
            await send_file(ours, path)
        nursery.cancel_scope.cancel()
    assert ours.closed


@pytest.mark.parametrize("cases", [senders, receivers])
def test_every_hostile_peer_is_played(cases):
    played = {case.__name__ for case in (SENDERS if cases is senders else RECEIVERS)}
    written = {
        name
        for name, value in vars(cases).items()
        if getattr(value, "__module__", "") == cases.__name__
    }
    assert written - {"named"} == played - ({"named"} if cases is senders else set())


async def test_a_receiver_that_lies_about_what_it_has_gets_all_of_it(tmp_path):
    path = make_file(tmp_path / "a.bin", 2 * PIECE)
    ours, theirs = memory_stream_pair()

    async def lie() -> None:
        peer = RawPeer(theirs)
        offer = await peer.read_offer()
        await peer.answer(offer.size, bytes(32))
        kind, body = await peer.read()
        assert kind is Kind.BEGIN
        assert Begin.decode(body).offset == 0
        data = b"".join([(await peer.read())[1] for _ in range(2)])
        await peer.confirm(hashlib.sha256(data).digest())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lie)
        sent = await send_file(ours, path)
    assert sent.resumed_at == 0


async def test_an_anonymous_sender_is_refused(tmp_path):
    streams = memory_stream_pair(caller=None)
    outcome = await exchange(make_file(tmp_path / "a.bin", 9), inbox(tmp_path), streams=streams)
    assert isinstance(outcome.received, AnonymousSenderError)
    assert names_in(inbox(tmp_path)) == set()
    assert parts_in(inbox(tmp_path)) == []


async def test_wrong_bytes_leave_nothing_that_a_resume_could_build_on(tmp_path):
    service = FileService(inbox(tmp_path), accept=accept_everybody)
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.handle, theirs)
        await senders.other_bytes_than_offered(RawPeer(ours))
    assert parts_in(inbox(tmp_path)) == []


async def test_a_refused_offer_leaves_the_stream_usable(tmp_path):
    service = FileService(inbox(tmp_path), accept=accept_everybody)
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.handle, theirs)
        peer = RawPeer(ours)
        await peer.offer(Offer("../x", 1, bytes(32)))
        await peer.write(Kind.OFFER, HONEST.encode())
        await peer.read()
        await peer.begin()
        await peer.write(Kind.PIECE, DATA)
        await peer.read()
        await ours.send_end()
    assert (inbox(tmp_path) / "a.txt").read_bytes() == DATA
    assert service.failures == {"HostileNameError": 1}


async def test_a_sender_cannot_make_the_receiver_hold_much(tmp_path, alone):
    service = FileService(inbox(tmp_path), accept=accept_everybody)
    count = 24
    ours, theirs = memory_stream_pair(capacity=PIECE // 2)
    piece = bytes(PIECE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.handle, theirs)
        peer = RawPeer(ours)
        await peer.offer(Offer("a.bin", count * PIECE, bytes(32)))
        await peer.begin()
        tracemalloc.start()
        for _ in range(count):
            await peer.write(Kind.PIECE, piece)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        await ours.aclose()
    assert service.failures == {"HashMismatchError": 1}
    assert peak < 8 * PIECE


async def test_a_sender_that_offers_nothing(tmp_path):
    ours, theirs = memory_stream_pair()
    await RawPeer(ours).greet()
    await ours.send_end()
    with pytest.raises(EndedEarlyError):
        await receive_file(theirs, inbox(tmp_path), accept=accept_everybody)


async def test_a_farewell_that_is_cancelled_resets_the_stream(tmp_path):
    class Deaf(MemoryStream):
        async def drain(self) -> None:
            scope.cancel()
            await trio.sleep_forever()

    ours, theirs = memory_stream_pair()
    deaf = Deaf(ours.peer, ours.service, ours._outgoing, ours._incoming)
    service = FileService(inbox(tmp_path), accept=accept_everybody)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.handle, theirs)
        with trio.CancelScope() as scope:
            await send_file(deaf, make_file(tmp_path / "a.bin", 9))
    assert scope.cancelled_caught
    assert deaf.closed
    assert names_in(inbox(tmp_path)) == {"a.bin"}


# ---- silence. The clock jumps whenever all wait, threads included, so no file is read meanwhile.


async def nothing(peer: RawPeer) -> None:
    await trio.sleep_forever()


async def a_greeting_only(peer: RawPeer) -> None:
    await peer.greet()
    await trio.sleep_forever()


async def half_a_message(peer: RawPeer) -> None:
    await peer.greet()
    await peer.say(b"\x01")
    await trio.sleep_forever()


async def an_offer_only(peer: RawPeer) -> None:
    await peer.offer(HONEST)
    await trio.sleep_forever()


async def a_beginning_only(peer: RawPeer) -> None:
    await peer.offer(HONEST)
    await peer.begin()
    await trio.sleep_forever()


async def a_drip(peer: RawPeer) -> None:
    await peer.offer(HONEST)
    await peer.begin()
    for byte in b"\x04\x00\x00\x0c" + DATA:
        await peer.say(bytes((byte,)))
        await trio.sleep(50)
    await trio.sleep_forever()


SILENT = {
    nothing: PROMPT_S,
    a_greeting_only: PROMPT_S,
    half_a_message: PIECE_S,
    an_offer_only: PATIENT_S,
    a_beginning_only: PIECE_S,
    a_drip: PIECE_S,
}


@pytest.mark.parametrize("sender", SILENT, ids=lambda sender: sender.__name__)
async def test_a_silent_sender_is_given_up(tmp_path, autojump_clock, sender):
    service = FileService(inbox(tmp_path), accept=accept_everybody)
    ours, theirs = memory_stream_pair()
    start = trio.current_time()

    async def talk() -> None:
        try:
            await sender(RawPeer(ours))
        except StreamResetError:
            assert sender is a_drip

    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk)
        await service.handle(theirs)
        nursery.cancel_scope.cancel()
    assert service.failures == {"StalledError": 1}
    assert trio.current_time() - start == pytest.approx(SILENT[sender])


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [("greeting", PROMPT_S), ("answer", PATIENT_S), ("reading", PIECE_S), ("receipt", PATIENT_S)],
)
async def test_a_silent_receiver_is_given_up(tmp_path, autojump_clock, moment, seconds):
    file = await PreparedFile.prepare(make_file(tmp_path / "a.bin", 2 * PIECE))
    ours, theirs = memory_stream_pair(capacity=PIECE // 2)

    async def receive() -> None:
        peer = RawPeer(theirs)
        if moment != "greeting":
            offer = await peer.read_offer()
        if moment == "reading":
            await peer.answer(0, bytes.fromhex(EMPTY_HASH))
        if moment == "receipt":
            await peer.take_all(offer)
        await trio.sleep_forever()

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        with pytest.raises(StalledError):
            await send_file(ours, file)
        nursery.cancel_scope.cancel()
    assert trio.current_time() - start >= seconds
    with pytest.raises(StreamResetError) as raised:
        await theirs.receive()
    assert raised.value.status is Status.TIMEOUT
