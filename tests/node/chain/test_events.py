import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity.address import Address
from peerstream.node.chain.abi import event_signatures
from peerstream.node.chain.errors import MalformedAnswerError
from peerstream.node.chain.events import (
    KNOWN_TOPICS,
    DeviceRevoked,
    IdentityRevoked,
    IdentitySet,
    Log,
    RelayRemoved,
    RelaySet,
    event_topic,
)
from peerstream.node.chain.history import IdentitySnapshot, RelayHistory, apply_all
from peerstream.node.protocol.directory.relay_set import RelayEntry
from tests.node.chain.chains import ACCOUNTS, DEVICE, EPOCH_S, KEY, STAKE, relay_id


def logs_of(chain) -> list[dict]:
    return chain.methods.call("eth_getLogs", [{"fromBlock": "0x0", "toBlock": "latest"}])


def test_every_event_of_the_contracts_is_known():
    signatures = event_signatures("RelayRegistry") + event_signatures("IdentityRegistry")
    assert {event_topic(signature) for signature in signatures} == KNOWN_TOPICS


def test_events_of_the_real_contracts(populated):
    events = [Log.read(log).decode() for log in logs_of(populated)]
    relays, identity, revoked = events[:3], events[3], events[4]
    epoch = populated.wall // EPOCH_S - 3
    for number, event in enumerate(relays, start=1):
        assert isinstance(event, RelaySet)
        assert event.acts_from == event.entry.from_epoch == epoch + 2
        assert event.entry.slot == number - 1
        assert event.entry.relay_id == relay_id(number)
        assert event.entry.operator == ACCOUNTS[number].address.raw
        assert event.entry.sign_key == ACCOUNTS[63 - number].address.raw
        assert event.entry.weight == STAKE
        event.entry.verify_possession(populated.deployment.network_id)
    assert identity == IdentitySet(ACCOUNTS[20].address.raw, KEY, identity.issued)
    assert revoked == DeviceRevoked(ACCOUNTS[20].address.raw, DEVICE)


@pytest.mark.parametrize(
    "change",
    [
        {"topics": []},
        {"topics": ["0x" + "00" * 32] * 5},
        {"topics": None},
        {"topics": ["0x00"]},
        {"topics": ["0x" + "00" * 32]},
        {"data": "0x"},
        {"data": None},
        {"removed": True},
        {"address": "0x00"},
        {"blockNumber": "seven"},
        {"logIndex": None},
    ],
)
def test_a_log_of_another_shape(populated, change):
    for log in logs_of(populated):
        with pytest.raises(MalformedAnswerError):
            Log.read(log | change).decode()


@pytest.mark.parametrize("word", range(12))
def test_a_relay_event_with_a_word_out_of_range(populated, word):
    log = logs_of(populated)[0]
    data = bytearray.fromhex(log["data"][2:])
    data[32 * word : 32 * word + 32] = b"\xff" * 32
    changed = Log.read(log | {"data": "0x" + data.hex()})
    if word in {3, 10, 11}:  # any family, any possession: the reader checks the latter
        assert changed.decode() != Log.read(log).decode()
    else:
        with pytest.raises(MalformedAnswerError):
            changed.decode()


def test_a_topic_that_is_no_address(populated):
    for log in logs_of(populated):
        topics = [log["topics"][0], "0x" + "ff" * 32, *log["topics"][2:]]
        with pytest.raises(MalformedAnswerError):
            Log.read(log | {"topics": topics}).decode()


def test_a_relay_id_that_differs_from_its_topic(populated):
    log = logs_of(populated)[0]
    with pytest.raises(MalformedAnswerError, match="contradicts"):
        Log.read(log | {"topics": [*log["topics"][:2], "0x" + "11" * 32]}).decode()


# What they add up to


def entry(slot: int, mark: int) -> RelayEntry:
    return RelayEntry(slot, bytes([mark]) * 32, bytes(20), bytes(32), 1, bytes(20), 0, 9, bytes(64))


CHANGES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans()), max_size=25)


def replayed(changes):
    """Return the history, and what stands in each slot at each epoch, counted slowly."""
    history, epoch, plain = RelayHistory(), 2, []
    for mark, (slot, step, is_set) in enumerate(changes):
        epoch += step
        placed = entry(slot, mark) if is_set else None
        history.apply(RelaySet(placed, epoch) if placed else RelayRemoved(slot, epoch))
        plain.append((epoch, slot, placed))
    return history, epoch, plain


def at(plain, epoch):
    state = {slot: placed for since, slot, placed in plain if since <= epoch}
    return {slot: placed for slot, placed in state.items() if placed}


@given(CHANGES, st.integers(0, 60))
def test_history_agrees_with_counting(changes, cut):
    history, last, plain = replayed(changes)
    whole = history.copy()
    history.forget_before(cut)
    for epoch in range(last + 3):
        wanted = at(plain, epoch)
        assert {e.slot: e for e in whole.entries(epoch)} == wanted
        if epoch >= cut:
            assert {e.slot: e for e in history.entries(epoch)} == wanted
    assert {e.slot: e for e in whole.latest()} == at(plain, last)


def test_forgetting_keeps_what_the_present_needs():
    history = RelayHistory()
    for epoch in range(100):
        history.apply(RelaySet(entry(0, epoch % 7), epoch))
        history.forget_before(epoch - 1)
    assert len(history._slots[0]) <= 3
    history.apply(RelayRemoved(0, 100))
    history.forget_before(102)
    assert history._slots == {}


ALICE, BOB = ACCOUNTS[1].address, ACCOUNTS[2].address


def identities(*events) -> IdentitySnapshot:
    found = IdentitySnapshot()
    apply_all(RelayHistory(), found, events)
    return found


def test_a_revocation_voids_what_was_issued_up_to_it():
    found = identities(IdentitySet(ALICE.raw, KEY, 10), IdentityRevoked(ALICE.raw, 9))
    assert found.identity_key(ALICE) == KEY
    found.apply(IdentityRevoked(ALICE.raw, 10))
    assert found.identity_key(ALICE) is None
    assert found.revoked_before(ALICE) == 10
    found.apply(IdentitySet(ALICE.raw, DEVICE, 11))
    assert found.identity_key(ALICE) == DEVICE


def test_an_account_takes_itself_off_the_list():
    found = identities(IdentitySet(ALICE.raw, KEY, 10), IdentitySet(ALICE.raw, bytes(32), 11))
    assert found.record(ALICE) is None
    assert len(found) == 0


def test_accounts_do_not_touch_each_other():
    found = identities(
        IdentitySet(ALICE.raw, KEY, 10),
        IdentityRevoked(BOB.raw, 99),
        DeviceRevoked(BOB.raw, DEVICE),
    )
    assert found.identity_key(ALICE) == KEY
    assert not found.is_device_revoked(ALICE, DEVICE)
    assert found.is_device_revoked(BOB, DEVICE)
    assert found.identity_key(Address(bytes(19) + b"\x01")) is None
