"""The messages of libp2p's Kademlia, what is answered to them, and whom a search asks."""

import hashlib

import pytest

from peerstream.node.protocol.directory import kad_wire, search
from peerstream.node.protocol.directory.admission_book import decode_page, encode_page
from peerstream.node.protocol.directory.errors import (
    MalformedDocumentError,
    UnknownKeyError,
    UnservedQuestionError,
)
from peerstream.node.protocol.directory.kad_wire import (
    decode_message,
    encode_message,
    read_length,
)
from peerstream.node.protocol.directory.kademlia import (
    PEER_ID_PREFIX,
    Contact,
    KadMessage,
    Kind,
    Responder,
    admissions_key,
    nearest_first,
    protocol_of,
)
from peerstream.node.protocol.directory.search import Search, SearchRules
from peerstream.node.protocol.directory.subnets import Endpoint
from tests.node.protocol.directory.admissions import (
    NETWORK,
    PERIOD_S,
    RELAYS,
    admit,
    book_of,
    where,
)
from tests.node.protocol.directory.network import WALL, relay, seeded

KEY = admissions_key(NETWORK, WALL // PERIOD_S)
IP6 = Endpoint.parse("/ip6/2001:db8::1/tcp/9")
CONTACTS = (Contact(RELAYS[0].relay_id, (*where(1), IP6)), Contact(RELAYS[1].relay_id, where(2)))
MESSAGES = [
    KadMessage(Kind.PING),
    KadMessage(Kind.GET_VALUE, KEY),
    KadMessage(Kind.GET_VALUE, KEY, bytes(32), CONTACTS),
    KadMessage(Kind.PUT_VALUE, KEY, b"x" * 5_000),
    KadMessage(Kind.FIND_NODE, PEER_ID_PREFIX + RELAYS[2].relay_id, None, CONTACTS),
]


def body(message: KadMessage) -> bytes:
    data = encode_message(message)
    size, at = read_length(data, len(data))
    assert size + at == len(data)
    return data[at:]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.kind.name)
def test_a_message_is_read_back(message):
    assert decode_message(body(message)) == message


# Bytes


@pytest.mark.parametrize(
    "data",
    [
        b"\x08\x09",
        b"\x0a\x01",
        b"\x12\x7f",
        b"\x12" + b"\xff" * 11,
        b"\x13",
        b"\x12\x81\x01" + bytes(129),
        b"\x08\x05" * 65,
        b"".join(b"\x42\x00" for _ in range(21)),
        b"\x10\x05",
    ],
    ids=["kind", "type", "short", "endless", "group", "key", "fields", "peers", "a number"],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(MalformedDocumentError):
        decode_message(data)


def test_a_length_is_bounded_before_anything_is_read():
    assert read_length(b"", 100) is None
    assert read_length(b"\x80", 100) is None
    assert read_length(b"\xe4\x00", 100) == (100, 2)
    for prefix in (b"\x65", b"\xff\xff\xff\xff", b"\xff" * 9):
        with pytest.raises(MalformedDocumentError):
            read_length(prefix, 100)


def test_a_full_page_fits_an_answer():
    message = KadMessage(Kind.GET_VALUE, KEY, bytes(kad_wire.PAGE_MAX), CONTACTS * 4)
    assert len(encode_message(message)) <= kad_wire.ANSWER_MAX
    put = KadMessage(Kind.PUT_VALUE, KEY, encode_page([bytes(192), bytes(192)]))
    assert len(encode_message(put)) <= kad_wire.QUESTION_MAX


# Answers


def responder(relays=RELAYS, changed=lambda: None):
    numbers = {each.relay_id: each.number for each in RELAYS}
    return Responder(book_of(relays), lambda relay_id: where(numbers[relay_id]), changed)


def test_networks_and_periods_have_keys_and_protocols_of_their_own():
    assert protocol_of(NETWORK) == f"/psp/kad/{NETWORK.hex()[:16]}/1.0.0"
    assert len({KEY, admissions_key(NETWORK, 1), admissions_key(bytes(32), WALL // PERIOD_S)}) == 3
    digest = hashlib.sha256(b"psp/admissions-key/1" + NETWORK + (7).to_bytes(8, "big"))
    assert admissions_key(NETWORK, 7) == b"/psp/" + digest.hexdigest().encode()


def test_a_value_is_the_page_or_its_digest_for_who_holds_it():
    node = responder()
    answer = node.answer(KadMessage(Kind.GET_VALUE, KEY), WALL)
    assert len(decode_page(answer.value)) == len(RELAYS)
    assert [contact.relay_id for contact in answer.closer] == nearest_first(
        KEY, [each.relay_id for each in RELAYS]
    )[:8]
    digest = book_of(RELAYS).digest()
    same = node.answer(KadMessage(Kind.GET_VALUE, KEY, digest), WALL)
    assert (same.value, same.closer) == (digest, answer.closer)
    other = node.answer(KadMessage(Kind.GET_VALUE, KEY, bytes(32)), WALL)
    assert other == answer


def test_what_is_put_is_kept_and_told_once():
    told = []
    node = responder(RELAYS[:3], lambda: told.append(1))
    put = KadMessage(Kind.PUT_VALUE, KEY, encode_page([admit(RELAYS[5])]))
    assert node.answer(put, WALL) == put
    node.answer(put, WALL)
    assert told == [1]
    page = node.answer(KadMessage(Kind.GET_VALUE, KEY), WALL).value
    assert admit(RELAYS[5]) in decode_page(page)


def test_peers_without_a_known_address_are_not_named():
    node = Responder(book_of(RELAYS), lambda _: (), lambda: None)
    assert node.answer(KadMessage(Kind.FIND_NODE, b"anything"), WALL).closer == ()
    assert len(responder().answer(KadMessage(Kind.FIND_NODE, b"anything"), WALL).closer) == 8
    assert node.answer(KadMessage(Kind.PING), WALL) == KadMessage(Kind.PING)


@pytest.mark.parametrize("kind", [Kind.ADD_PROVIDER, Kind.GET_PROVIDERS])
def test_there_are_no_providers(kind):
    with pytest.raises(UnservedQuestionError):
        responder().answer(KadMessage(kind, KEY), WALL)


def test_no_other_key_is_kept():
    late = admissions_key(NETWORK, WALL // PERIOD_S + 2)
    for kind in (Kind.GET_VALUE, Kind.PUT_VALUE):
        for key in (late, b"/pk/x", b""):
            with pytest.raises(UnknownKeyError):
                responder().answer(KadMessage(kind, key, b"x"), WALL)


# Searches


def search_of(first, relays=RELAYS, own=b"", *, private=True, seed=1):
    rules = SearchRules(KEY, own, private)
    located = {each.relay_id: where(each.number) for each in first}
    return Search(rules, book_of(relays), located, seeded(seed))


def run(found, answer):
    """Ask one at a time; ``answer(relay_id)`` gives contacts, or None for no answer."""
    asked = []
    while (contact := found.next()) is not None:
        asked.append(contact.relay_id)
        closer = answer(contact.relay_id)
        if closer is None:
            found.fail(contact.relay_id)
        else:
            found.succeed(contact.relay_id, closer)
    assert found.done
    return asked


EVERYBODY = [Contact(each.relay_id, where(each.number)) for each in RELAYS]
ORDERED = nearest_first(KEY, [each.relay_id for each in RELAYS])


def test_a_search_asks_the_nearest_and_witnesses_that_nobody_chose():
    asked = run(search_of(RELAYS), lambda _: EVERYBODY)
    assert asked[:8] == ORDERED[:8]
    assert len(asked) == 11
    drawn = {tuple(run(search_of(RELAYS, seed=n), lambda _: EVERYBODY)[8:]) for n in range(20)}
    assert len(drawn) > 10


def test_a_search_finds_its_way_from_one_relay():
    near = [Contact(relay_id, where(9)) for relay_id in ORDERED[:8]]
    asked = run(search_of(RELAYS[:1]), lambda _: near)
    assert set(ORDERED[:8]) <= set(asked)


def test_three_are_asked_at_once_and_the_next_when_one_answered():
    found = search_of(RELAYS)
    three = [found.next().relay_id for _ in range(3)]
    assert three == ORDERED[:3]
    assert found.next() is None
    found.succeed(three[1], ())
    assert found.next().relay_id == ORDERED[3]
    assert not found.done


def test_those_that_fail_are_replaced_until_it_is_enough():
    dead = set(ORDERED[:5])
    asked = run(search_of(RELAYS), lambda relay_id: None if relay_id in dead else ())
    assert set(ORDERED[:13]) <= set(asked)
    asked = run(search_of(tuple(relay(n) for n in range(150, 200))), lambda _: None)
    assert len(asked) == search.QUESTIONS_MAX


def test_nobody_unadmitted_is_asked_nor_ourselves_nor_an_impossible_address():
    strangers = [Contact(relay(n).relay_id, where(n % 200)) for n in range(100, 140)]
    own = ORDERED[0]
    found = search_of(RELAYS[:1], own=own)
    asked = run(found, lambda _: [*strangers, Contact(own, where(3))])
    assert asked == [RELAYS[0].relay_id]
    public = search_of(RELAYS[:1], private=False)
    assert len(run(public, lambda _: EVERYBODY)) == 1  # all others are on loopback


def test_a_claimed_address_comes_after_the_known_one():
    found = search_of(RELAYS[:2])
    first = found.next()
    liar = next(r for r in RELAYS[:2] if r.relay_id == first.relay_id)
    victim = next(r for r in RELAYS[:2] if r is not liar)
    claims = [Contact(victim.relay_id, where(n)) for n in range(50, 60)]
    fresh = search_of(RELAYS[:2])
    assert fresh.next().relay_id == first.relay_id
    fresh.succeed(liar.relay_id, claims)
    asked = fresh.next()
    assert asked.relay_id == victim.relay_id
    assert asked.endpoints[0] == where(victim.number)[0]
    assert len(asked.endpoints) == 4
