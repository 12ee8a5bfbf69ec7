"""Somebody who knows a blinded key and wants its place in the stores for himself."""

import pytest

from peerstream.identity.descriptor.record import certificate_message
from peerstream.identity.labels import DESCRIPTOR_SIGNATURE
from peerstream.node.protocol.directory.errors import (
    InvalidRecordError,
    NotResponsibleError,
    RecordRefusedError,
)
from tests.identity.test_low_order import LOW_ORDER, forge
from tests.node.protocol.directory.network import NETWORK, WALL, seeded
from tests.node.protocol.directory.test_store import (
    MAGIC,
    PERIOD,
    DescriptorKey,
    RecordHeader,
    blind_secret,
    get,
    identity,
    key_of,
    put,
    record,
    store_of,
)

VICTIM = key_of("S")
OWN = key_of("squatter")


def with_key_of_low_order():
    """His own key certifies a descriptor key for which anybody's signature fits."""
    nobody = LOW_ORDER[0]
    message = certificate_message(NETWORK, PERIOD, nobody)
    certificate = blind_secret(identity("squatter"), PERIOD).sign(message)
    header = RecordHeader(
        MAGIC, OWN.blinded, nobody, certificate, PERIOD, WALL, (WALL + 9_000) // 600 * 600,
        bytes(32), 4_096,
    )  # fmt: skip
    signed = header.encode() + bytes(4_096)
    return signed + forge(nobody, DESCRIPTOR_SIGNATURE + signed)


SQUATTING = {
    "his own record under the victim's key": record(OWN, blinded=VICTIM.blinded, revision=WALL + 9),
    "another identity's certificate": record(
        key_of("other", PERIOD), blinded=VICTIM.blinded, revision=WALL + 9
    ),
    "a revision that is never passed": record(OWN, blinded=VICTIM.blinded, revision=2**63),
    "the victim's record with another revision": record(VICTIM)[:140]
    + (WALL + 9).to_bytes(8, "big") + record(VICTIM)[148:],
    "a certificate for another network": record(
        DescriptorKey(blind_secret(identity("S"), PERIOD), bytes(32), seeded(1)), revision=WALL + 9
    ),
    "a descriptor key of low order": with_key_of_low_order(),
    "noise": bytes(4_348),
}  # fmt: skip


@pytest.mark.parametrize("how", SQUATTING)
def test_the_victims_record_stays(how):
    store, honest = store_of(), record(VICTIM)
    put(store, honest)
    with pytest.raises(InvalidRecordError):
        put(store, SQUATTING[how], WALL)
    assert get(store, VICTIM.blinded) == honest


@pytest.mark.parametrize("how", SQUATTING)
def test_squatting_first_keeps_nobody_out(how):
    store = store_of(updates=1)
    for _ in range(5):
        with pytest.raises(RecordRefusedError):
            put(store, SQUATTING[how], WALL)
    assert len(store) == 0
    put(store, record(VICTIM))
    assert get(store, VICTIM.blinded) == record(VICTIM)


def test_many_keys_of_his_own_fill_his_own_places_only():
    """Keys are free; which stores a key has is not his choice, and the budget has an end."""
    store = store_of(members=60, budget=40_000)
    kept = 0
    for number in range(60):
        try:
            put(store, record(key_of(("squatter", number))))
            kept += 1
        except NotResponsibleError:
            continue
        except RecordRefusedError:
            break
    assert store.size <= 40_000
    assert kept < 60


def test_the_network_is_in_the_certificate():
    assert key_of("S", network=NETWORK).certificate != key_of("S", network=bytes(32)).certificate
