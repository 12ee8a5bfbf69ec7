"""Senders of files that break a rule of SPEC 11, and the error that meets each of them."""

import hashlib
import random

from peerstream.identity.canonical import encode
from peerstream.node.services.files.offer import SIZE_MAX, Offer
from peerstream.node.services.files.wire import GREETING_SIZE, Kind
from tests.node.services.hostile.raw import RawPeer

DATA = b"hello, world"
HONEST = Offer("a.txt", len(DATA), hashlib.sha256(DATA).digest())


def named(name: str) -> Offer:
    return Offer(name, HONEST.size, HONEST.sha256)


async def random_bytes(peer: RawPeer) -> None:
    await peer.say(random.Random(20_261_124).randbytes(5_000))


async def another_protocol(peer: RawPeer) -> None:
    await peer.say(b"GET / HTTP/1.1\r\n\r\n")


async def a_newer_version(peer: RawPeer) -> None:
    await peer.say(b"psp/file\x00\x07\x00\x09")


async def half_a_greeting(peer: RawPeer) -> None:
    await peer.say(b"psp/file"[: GREETING_SIZE // 2])
    await peer.stream.send_end()


async def a_length_of_16_mib(peer: RawPeer) -> None:
    await peer.greet()
    await peer.say(b"\x04\xff\xff\xff")


async def an_offer_of_64_kib(peer: RawPeer) -> None:
    await peer.greet()
    await peer.write(Kind.OFFER, bytes(65_536))


async def a_kind_of_nobody(peer: RawPeer) -> None:
    await peer.greet()
    await peer.write(77, b"x")


async def a_message_without_body(peer: RawPeer) -> None:
    await peer.greet()
    await peer.write(Kind.OFFER, b"")


async def a_piece_before_any_offer(peer: RawPeer) -> None:
    await peer.greet()
    await peer.write(Kind.PIECE, DATA)


async def an_offer_in_another_encoding(peer: RawPeer) -> None:
    await peer.greet()
    # The size in two bytes where one would do.
    encoded = encode({1: "a.txt", 2: 12, 3: HONEST.sha256}).replace(b"\x02\x0c", b"\x02\x18\x0c")
    await peer.write(Kind.OFFER, encoded)


async def two_offers_at_once(peer: RawPeer) -> None:
    await peer.offer(HONEST)
    await peer.write(Kind.OFFER, HONEST.encode())


async def a_path_for_a_name(peer: RawPeer) -> None:
    await peer.offer(named("../../.ssh/authorized_keys"))
    await peer.stream.send_end()


async def a_hidden_name(peer: RawPeer) -> None:
    await peer.offer(named(".bashrc"))
    await peer.stream.send_end()


async def a_name_that_turns_around(peer: RawPeer) -> None:
    await peer.offer(named("invoice\u202efdp.exe"))
    await peer.stream.send_end()


async def more_than_any_disk(peer: RawPeer) -> None:
    await peer.offer(Offer("a.txt", SIZE_MAX, HONEST.sha256))
    await peer.stream.send_end()


async def a_beginning_in_the_middle(peer: RawPeer) -> None:
    await peer.offer(HONEST)
    await peer.begin(5)


async def more_bytes_than_offered(peer: RawPeer) -> None:
    await peer.offer(HONEST)
    await peer.begin()
    await peer.write(Kind.PIECE, DATA + b"!")


async def other_bytes_than_offered(peer: RawPeer) -> None:
    await peer.offer(HONEST)
    await peer.begin()
    await peer.write(Kind.PIECE, DATA.upper())


async def a_file_that_ends_early(peer: RawPeer) -> None:
    await peer.offer(HONEST)
    await peer.begin()
    await peer.write(Kind.PIECE, DATA[:5])
    await peer.stream.send_end()


async def a_piece_that_ends_early(peer: RawPeer) -> None:
    await peer.offer(HONEST)
    await peer.begin()
    await peer.say(b"\x04\x00\x00\x0c" + DATA[:5])
    await peer.stream.send_end()


async def an_offer_inside_a_file(peer: RawPeer) -> None:
    await peer.offer(HONEST)
    await peer.begin()
    await peer.write(Kind.PIECE, DATA[:5])
    await peer.write(Kind.OFFER, HONEST.encode())


async def a_receipt_from_the_wrong_side(peer: RawPeer) -> None:
    await peer.offer(HONEST)
    await peer.begin()
    await peer.confirm(HONEST.sha256)


async def giving_up_for_no_reason(peer: RawPeer) -> None:
    await peer.offer(HONEST)
    await peer.begin()
    await peer.write(Kind.ABORT, encode({1: 0}))


SENDERS = {
    random_bytes: "MessageError",
    another_protocol: "MessageError",
    a_newer_version: "VersionError",
    half_a_greeting: "EndedEarlyError",
    a_length_of_16_mib: "MessageTooLongError",
    an_offer_of_64_kib: "MessageTooLongError",
    a_kind_of_nobody: "MessageError",
    a_message_without_body: "MessageError",
    a_piece_before_any_offer: "UnexpectedMessageError",
    an_offer_in_another_encoding: "MessageError",
    two_offers_at_once: "UnexpectedMessageError",
    a_path_for_a_name: "HostileNameError",
    a_hidden_name: "HostileNameError",
    a_name_that_turns_around: "HostileNameError",
    more_than_any_disk: "TooLargeError",
    a_beginning_in_the_middle: "WrongOffsetError",
    more_bytes_than_offered: "WrongOffsetError",
    other_bytes_than_offered: "HashMismatchError",
    a_file_that_ends_early: "EndedEarlyError",
    a_piece_that_ends_early: "EndedEarlyError",
    an_offer_inside_a_file: "UnexpectedMessageError",
    a_receipt_from_the_wrong_side: "UnexpectedMessageError",
    giving_up_for_no_reason: "MessageError",
}
