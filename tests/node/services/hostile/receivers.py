"""Receivers of files that break a rule of SPEC 11, and the error that the sender raises."""

import random

from peerstream.identity.canonical import encode
from peerstream.node.protocol.errors import VersionError
from peerstream.node.services.files.errors import (
    EndedEarlyError,
    RefusedError,
    UnexpectedMessageError,
    WrongOffsetError,
    WrongReceiptError,
)
from peerstream.node.services.files.offer import Receipt
from peerstream.node.services.files.wire import FileStatus, Kind, MessageError, MessageTooLongError
from tests.node.services.hostile.raw import EMPTY_HASH, RawPeer


async def random_bytes(peer: RawPeer) -> None:
    await peer.say(random.Random(20_261_124).randbytes(5_000))


async def an_older_version(peer: RawPeer) -> None:
    await peer.say(b"psp/file\x00\x10\x00\x20")


async def a_length_of_16_mib(peer: RawPeer) -> None:
    await peer.read_offer()
    await peer.say(b"\x02\xff\xff\xff")


async def an_offer_for_an_answer(peer: RawPeer) -> None:
    offer = await peer.read_offer()
    await peer.write(Kind.OFFER, offer.encode())


async def an_end_for_an_answer(peer: RawPeer) -> None:
    await peer.read_offer()
    await peer.stream.send_end()


async def a_status_of_nobody(peer: RawPeer) -> None:
    await peer.read_offer()
    await peer.write(Kind.ANSWER, encode({1: 200}))


async def more_than_the_whole(peer: RawPeer) -> None:
    offer = await peer.read_offer()
    await peer.answer(offer.size + 1, bytes(32))


async def a_receipt_for_nothing(peer: RawPeer) -> None:
    offer = await peer.read_offer()
    await peer.answer(0, bytes.fromhex(EMPTY_HASH))
    await peer.confirm(offer.sha256)


async def a_receipt_for_another_file(peer: RawPeer) -> None:
    await peer.take_all(await peer.read_offer())
    await peer.confirm(bytes(32))


async def an_end_for_a_receipt(peer: RawPeer) -> None:
    await peer.take_all(await peer.read_offer())
    await peer.stream.send_end()


async def a_full_disk_while_nobody_reads(peer: RawPeer) -> None:
    await peer.read_offer()
    await peer.answer(0, bytes.fromhex(EMPTY_HASH))
    await peer.write(Kind.RECEIPT, Receipt(FileStatus.NO_SPACE).encode())
    await peer.stream.send_end()
    await peer.stream.aclose()


RECEIVERS = {
    random_bytes: MessageError,
    an_older_version: VersionError,
    a_length_of_16_mib: MessageTooLongError,
    an_offer_for_an_answer: UnexpectedMessageError,
    an_end_for_an_answer: EndedEarlyError,
    a_status_of_nobody: MessageError,
    more_than_the_whole: WrongOffsetError,
    a_receipt_for_nothing: UnexpectedMessageError,
    a_receipt_for_another_file: WrongReceiptError,
    an_end_for_a_receipt: EndedEarlyError,
    a_full_disk_while_nobody_reads: RefusedError,
}
