"""Stores and caches that serve what is old, forged, another's or only for us."""

import pytest

from peerstream.identity import errors
from peerstream.identity.errors import IdentityError
from peerstream.node.protocol.directory.dir_hash import (
    directory_hash,
    disputed,
    require_majority,
)
from peerstream.node.protocol.directory.errors import (
    BadDocumentSignatureError,
    EquivocationError,
    MalformedDocumentError,
    TooFewPointsError,
    UnknownRelayError,
    ViewMismatchError,
    WrongEpochError,
)
from peerstream.node.protocol.directory.relay_descriptor import (
    RelayDescriptor,
    SignedRelayDescriptor,
)
from tests.node.protocol.directory.network import (
    ALL_ROLES,
    EPOCH,
    NETWORK,
    WALL,
    full_directory,
    onion_key,
    relay,
)
from tests.node.protocol.parties import DAY, RELAYS, Party

CALLER, CALLEE, THIEF = Party("caller"), Party("callee"), Party("thief")
HONEST = CALLEE.descriptor()
LIES = {
    "nothing": b"",
    "noise": bytes(range(256)) * 17,
    "half of it": HONEST[: len(HONEST) // 2],
    "one bit changed": HONEST[:500] + bytes((HONEST[500] ^ 1,)) + HONEST[501:],
    "somebody else's": THIEF.descriptor(),
    "yesterday's": CALLEE.descriptor(revision=WALL - DAY),
    "one that is over": CALLEE.descriptor(expiry=WALL - 700),
    "one from the future": CALLEE.descriptor(revision=WALL + 4_000),
    "one of another period": CALLEE.descriptor(period=WALL // DAY - 1),
    "one for another relay set": CALLEE.descriptor(view_root=bytes(32)),
}


@pytest.mark.parametrize("lie", LIES)
def test_no_lie_about_a_descriptor_is_believed(lie):
    with pytest.raises((IdentityError, ViewMismatchError, TooFewPointsError)):
        CALLER.judges(LIES[lie], CALLEE, highest=WALL - 100)


def test_the_next_store_tells_the_truth():
    """What liars said leaves nothing behind: the honest record is taken after all of them."""
    highest = WALL - 100
    for lie in LIES.values():
        with pytest.raises((IdentityError, ViewMismatchError)):
            CALLER.judges(lie, CALLEE, highest=highest)
    found = CALLER.judges(HONEST, CALLEE, highest=highest)
    assert found.contents == CALLEE.contents()
    with pytest.raises(errors.StaleRevisionError):
        CALLER.judges(CALLEE.descriptor(revision=highest), CALLEE, highest=found.revision)


def test_a_descriptor_by_another_relay_is_refused():
    directory = full_directory(RELAYS)
    victim, liar = RELAYS[0], RELAYS[1]
    forged = SignedRelayDescriptor.sign(
        RelayDescriptor(victim.relay_id, EPOCH, onion_key(90), (1,), ALL_ROLES, 0),
        liar.key,
        network_id=NETWORK,
        statement_signer=None,
    ).encode()
    for document, error in (
        (forged, BadDocumentSignatureError),
        (relay(77).descriptor().encode(), UnknownRelayError),
        (victim.descriptor(EPOCH - 2).encode(), WrongEpochError),
        (b"\xff" * 90, MalformedDocumentError),
    ):
        with pytest.raises(error):
            directory.add_descriptor(document, WALL)


def test_a_relay_with_a_key_for_each_victim_is_found_out():
    """It signs another onion key for us, so that its key id names us at other relays."""
    directory = full_directory(RELAYS)
    partition = RELAYS[3].descriptor(EPOCH, onion_key=onion_key(90))
    with pytest.raises(EquivocationError):
        directory.add_descriptor(partition.encode(), WALL)
    assert RELAYS[3].relay_id not in directory.candidates(WALL)


def test_a_guard_that_shows_us_our_own_directory_is_outvoted():
    true = {each.relay_id: each.descriptor().hash for each in RELAYS}
    shown = {**true, RELAYS[3].relay_id: RELAYS[3].descriptor(onion_key=onion_key(90)).hash}
    ours = directory_hash(EPOCH, shown)
    answers = [ours, directory_hash(EPOCH, true), directory_hash(EPOCH, true)]
    with pytest.raises(ViewMismatchError):
        require_majority(ours, answers)
    assert disputed(shown, [true, true, shown]) == {RELAYS[3].relay_id}
