"""What a node keeps of the admissions that anybody hands it."""

import pytest

from peerstream.node.protocol.directory import admission_book
from peerstream.node.protocol.directory.admission_book import (
    AdmissionBook,
    decode_page,
    encode_page,
)
from peerstream.node.protocol.directory.errors import (
    AdmissionOverError,
    BadAdmissionError,
    MalformedDocumentError,
    TooManyAdmissionsError,
)
from tests.node.protocol.directory.admissions import (
    KEEPER,
    LONG_AGO,
    PERIOD_S,
    RELAYS,
    RULES,
    admit,
    book_of,
)
from tests.node.protocol.directory.network import EPOCH, EPOCH_S, WALL


def test_equal_sets_have_equal_pages_in_whatever_order_they_came():
    one, other = book_of(RELAYS), book_of(reversed(RELAYS))
    assert one.page() == other.page()
    assert one.digest() == other.digest()
    assert one.digest() != book_of(RELAYS[1:]).digest()
    roots = [[view.root for view in book.views(WALL)] for book in (one, other)]
    assert roots[0] == roots[1]
    assert len(decode_page(one.page())) == len(one) == len(RELAYS)


def test_a_page_is_read_back_and_nothing_changes_by_it():
    book = book_of(RELAYS)
    changes = book.changes
    received = book.take(decode_page(book.page()), WALL)
    assert (received.new, received.refused, book.changes) == (0, (), changes)


def test_of_one_relay_the_two_that_end_last_are_kept():
    book, relay = AdmissionBook(RULES), RELAYS[0]
    ends = [admit(relay, begins=LONG_AGO + day, ends=WALL + day * 100) for day in range(1, 5)]
    for document in (ends[2], ends[0], ends[3], ends[1]):
        book.add(document, WALL)
    assert set(decode_page(book.page())) == {ends[2], ends[3]}
    changes = book.changes
    assert not book.add(ends[0], WALL)
    assert not book.add(admit(relay, ends=WALL + 9, keeper=relay), WALL)  # not even verified
    assert (book.changes, relay.relay_id in book) == (changes, True)


def test_what_is_over_is_kept_as_long_as_views_of_the_period_need_it():
    ends = WALL - RULES.kept_s + 10
    book = AdmissionBook(RULES)
    assert book.add(admit(RELAYS[0], ends=ends), WALL)
    book.prune(WALL + 9)
    assert len(book) == 1
    book.prune(WALL + 10)
    assert len(book) == 0
    with pytest.raises(AdmissionOverError):
        book.add(admit(RELAYS[0], ends=ends), WALL + 10)


def test_the_views_reach_from_the_start_of_the_period_to_the_next_epoch():
    book = book_of(RELAYS)
    last = (EPOCH * EPOCH_S // PERIOD_S + 1) * PERIOD_S - 1  # the end of a period
    epochs = [view.epoch for view in book.views(last)]
    assert epochs == list(range(last // EPOCH_S - 3, last // EPOCH_S + 2))
    first = last + 1
    assert next(view.epoch for view in book.views(first)) == first // EPOCH_S - 1


def test_a_new_relay_counts_in_the_views_of_later_epochs_only():
    book = book_of(RELAYS[1:])
    before = {view.epoch: view.root for view in book.views(WALL)}
    assert book.add(admit(RELAYS[0], begins=WALL), WALL)
    after = {view.epoch: view.root for view in book.views(WALL)}
    assert after == before
    later = book.views(WALL + 2 * EPOCH_S)
    assert RELAYS[0].relay_id in later[-1]
    assert RELAYS[0].relay_id not in later[0]


def test_a_view_holds_4096_relays_and_the_next_is_refused(monkeypatch):
    monkeypatch.setattr(admission_book, "CAPACITY", 3)
    book = book_of(RELAYS[:3])
    with pytest.raises(TooManyAdmissionsError):
        book.add(admit(RELAYS[3]), WALL)
    assert book.add(admit(RELAYS[0], ends=WALL + 9), WALL)


def test_the_first_forged_admission_ends_what_is_read_of_an_answer():
    book = AdmissionBook(RULES)
    forged = admit(RELAYS[1], keeper=RELAYS[1])
    over = admit(RELAYS[2], begins=LONG_AGO - 9, ends=LONG_AGO)
    received = book.take([admit(RELAYS[0]), over, forged, admit(RELAYS[3])], WALL)
    assert received.new == 1
    assert [type(error) for error in received.refused] == [AdmissionOverError, BadAdmissionError]
    assert book.relay_ids() == [RELAYS[0].relay_id]


@pytest.mark.parametrize(
    "data",
    [b"", b"\xa0", encode_page([])[:-1], encode_page([bytes(193)]), encode_page([7])],
    ids=["nothing", "no list", "cut", "long", "a number"],
)
def test_what_is_no_page_is_refused(data):
    with pytest.raises(MalformedDocumentError):
        decode_page(data)


def test_the_keeper_is_no_relay():
    assert KEEPER.relay_id not in book_of(RELAYS)
