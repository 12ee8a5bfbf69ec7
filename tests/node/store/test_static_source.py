"""The relay set from a signed file: verified, pinned, refused by name."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peerstream.identity.address import Address
from peerstream.node.ports import SourceError
from peerstream.node.protocol.directory.static import SignedStaticFile, StaticFile, StaticRelay
from peerstream.node.store.static_source import StaticFileSource
from tests.node.roles.relays import SIGNER, START_WALL, RelayIdentity, make_network

NETWORK = make_network()
RELAYS = [RelayIdentity(number, NETWORK) for number in range(3)]


def signed(serial=1, relays=3, key=SIGNER, **changes):
    rows = tuple(StaticRelay(relay.entry, (relay.endpoint,)) for relay in RELAYS[:relays])
    values = {
        "serial": serial,
        "not_before": START_WALL,
        "not_after": START_WALL + 1_000,
        "parameters_hash": NETWORK.parameters_hash,
        "relays": rows,
    } | changes
    return SignedStaticFile.sign(StaticFile(**values), key, network_id=NETWORK.network_id)


@pytest.fixture
def place(tmp_path):
    return tmp_path / "relays.psp"


@pytest.fixture
def source(place, tmp_path):
    return StaticFileSource(place, NETWORK, tmp_path / "pin")


async def test_a_file_gives_view_endpoints_and_its_own_bytes(place, source):
    place.write_bytes(signed().encode())
    snapshot = await source.read(START_WALL)
    (view,) = snapshot.views
    assert (view.epoch, len(view)) == (1, 3)
    assert snapshot.endpoints == {relay.relay_id: (relay.endpoint,) for relay in RELAYS}
    assert snapshot.documents == {1: place.read_bytes()}
    assert snapshot.identities.identity_key(Address(bytes(20))) is None
    assert snapshot.identities.revoked_before(Address(bytes(20))) == 0
    assert not snapshot.identities.is_device_revoked(Address(bytes(20)), bytes(32))
    assert await source.read(START_WALL) is snapshot


async def test_the_view_before_stays_beside_the_next_one(place, source):
    place.write_bytes(signed().encode())
    await source.read(START_WALL)
    place.write_bytes(signed(2, relays=2).encode())
    snapshot = await source.read(START_WALL)
    assert {view.epoch: len(view) for view in snapshot.views} == {1: 3, 2: 2}


async def test_an_older_file_is_a_roll_back_even_after_a_restart(place, source, tmp_path):
    place.write_bytes(signed(3).encode())
    await source.read(START_WALL)
    place.write_bytes(signed(1).encode())
    again = StaticFileSource(place, NETWORK, tmp_path / "pin")
    for each in (source, again):
        with pytest.raises(SourceError, match="RolledBackError"):
            await each.read(START_WALL)
    place.write_bytes(signed(3, relays=1).encode())
    with pytest.raises(SourceError, match="ForkedFileError"):
        await again.read(START_WALL)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "MalformedDocumentError"),
        (bytes(2_097_153), "MalformedDocumentError"),
        (signed(key=Ed25519PrivateKey.generate()).encode(), "BadDocumentSignatureError"),
        (signed(not_after=START_WALL + 1).encode(), "ExpiredDocumentError"),
        (signed(parameters_hash=bytes(32)).encode(), "ViewMismatchError"),
    ],
)
async def test_other_files_are_refused_by_name_and_pin_nothing(place, source, data, cause):
    place.write_bytes(data)
    with pytest.raises(SourceError, match=cause):
        await source.read(START_WALL + 5)
    place.write_bytes(signed().encode())
    assert await source.read(START_WALL + 5)


async def test_no_file_is_a_source_error(source):
    with pytest.raises(SourceError):
        await source.read(START_WALL)
