import pytest

from peerstream.node.chain.endpoints import Endpoints
from peerstream.node.chain.errors import RegistryRootError
from peerstream.node.chain.identities import revoke_before, set_identity
from peerstream.node.chain.reader import RegistryReader, read_registry
from peerstream.node.chain.registration import RelaySlots, register_relays
from peerstream.node.chain.sending import Sender
from peerstream.node.config import TrustedRoot
from tests.node.chain.chains import (
    ACCOUNTS,
    CONSTANTS,
    DEVICE,
    EPOCH_S,
    KEY,
    WALL,
    registration,
    relay_id,
)


async def test_reads_what_was_registered(populated):
    snapshot = await populated.reader().read(populated.wall)
    epoch = populated.wall // EPOCH_S
    assert snapshot.epoch == epoch
    assert [view.epoch for view in snapshot.views] == [epoch - 1, epoch, epoch + 1]
    assert {e.relay_id for e in snapshot.views[1]} == {relay_id(n) for n in (1, 2, 3)}
    assert snapshot.views[1].in_force(populated.wall)
    assert len(snapshot.latest) == 3


async def test_reads_identities_and_revocations(populated, populated_rpc):
    account = ACCOUNTS[20].address
    reader = populated.reader()
    found = (await reader.read(populated.wall)).identities
    assert found.identity_key(account) == KEY
    assert found.is_device_revoked(account, DEVICE)
    assert not found.is_device_revoked(ACCOUNTS[21].address, DEVICE)
    assert found.identity_key(ACCOUNTS[21].address) is None
    assert found.revoked_before(account) == 0
    await revoke_before(populated_rpc, populated.deployment, ACCOUNTS[20].secret, populated.wall)
    later = (await reader.read(populated.wall)).identities
    assert later.identity_key(account) is None
    assert later.revoked_before(account) == populated.wall
    assert found.identity_key(account) == KEY  # a snapshot stays as it was


async def test_a_change_acts_two_epochs_later_and_every_reader_sees_the_same(chain, rpc):
    await register_relays(rpc, chain.deployment, [registration(chain, 1)])
    seen = {}
    for _ in range(4):
        for reader in (chain.reader(), chain.reader()):
            for view in (await reader.read(chain.wall)).views:
                assert seen.setdefault(view.epoch, (view.root, len(view))) == (view.root, len(view))
        chain.advance(EPOCH_S)
    first = WALL // EPOCH_S
    assert [seen[first + n][1] for n in range(4)] == [0, 0, 1, 1]


async def test_a_later_read_asks_only_for_what_is_new(populated, populated_rpc):
    asked = []

    def recording(request):
        asked.append(request.content)
        return populated.handle(request)

    reader = populated.reader(recording, populated.handle)
    await reader.read(populated.wall)
    asked.clear()
    await register_relays(populated_rpc, populated.deployment, [registration(populated, 4)])
    populated.advance(3 * EPOCH_S)
    snapshot = await reader.read(populated.wall)
    assert len(snapshot.views[1]) == 4
    before = populated.ledger.head.header.block_number - 1
    logs = [body for body in asked if b"eth_getLogs" in body]
    assert len(logs) == 2  # of the registries, and of the board
    assert all(hex(before).encode() in body for body in logs)


async def test_a_chain_that_lost_blocks_is_read_again(chain, rpc):
    reader = chain.reader()
    number = chain.ledger.snapshot()
    await register_relays(rpc, chain.deployment, [registration(chain, 1)])
    await set_identity(rpc, chain.deployment, ACCOUNTS[20].secret, KEY)
    chain.advance(1)
    assert len((await reader.read(chain.wall)).latest) == 1
    chain.ledger.revert(number)
    await register_relays(rpc, chain.deployment, [registration(chain, 2)])
    snapshot = await reader.read(chain.wall)
    assert [entry.relay_id for entry in snapshot.latest] == [relay_id(2)]
    assert snapshot.identities.identity_key(ACCOUNTS[20].address) is None
    for _ in range(4):
        chain.advance(1)
    longer = await reader.read(chain.wall)
    assert [entry.relay_id for entry in longer.latest] == [relay_id(2)]


async def test_a_replaced_block_of_equal_height_is_noticed(chain, rpc):
    reader = chain.reader()
    number = chain.ledger.snapshot()
    await register_relays(rpc, chain.deployment, [registration(chain, 1)])
    await reader.read(chain.wall)
    chain.ledger.revert(number)
    await register_relays(rpc, chain.deployment, [registration(chain, 2)])
    snapshot = await reader.read(chain.wall)
    assert [entry.relay_id for entry in snapshot.latest] == [relay_id(2)]


async def test_ring_randomness_is_of_the_first_block_of_the_last_epoch_before(chain):
    period_s = CONSTANTS.period_s
    period = WALL // period_s + 1
    since = period * period_s - EPOCH_S
    chain.advance(since - 10 - chain.wall)
    assert period not in (await chain.reader().read(chain.wall)).randomness
    chain.advance(15)
    first = chain.ledger.head.header
    chain.advance(60)
    snapshot = await chain.reader().read(chain.wall)
    assert snapshot.randomness[period] == first.mix_hash
    chain.advance(period * period_s - chain.wall)
    later = await chain.reader().read(chain.wall)
    assert later.randomness[period] == first.mix_hash
    assert set(later.randomness) == {period - 1, period}


async def test_a_chain_that_began_later_gives_its_first_block(chain):
    first_period = chain.ledger.block(0).header.timestamp // CONSTANTS.period_s
    chain.wall = (first_period + 1) * CONSTANTS.period_s
    anchor = chain.anchor()
    reader = RegistryReader(Endpoints.of([chain.client(), chain.client()]), anchor)
    snapshot = await reader.read(chain.ledger.head.header.timestamp)
    epoch_before = first_period * CONSTANTS.period_s - EPOCH_S
    assert epoch_before < chain.ledger.block(0).header.timestamp
    assert all(len(value) == 32 for value in snapshot.randomness.values())


async def test_without_rings_no_block_is_searched(chain):
    reader = RegistryReader(
        Endpoints.of([chain.client(), chain.client()]), chain.deployment.anchor()
    )
    assert (await reader.read(chain.wall)).randomness == {}


async def test_an_entry_without_possession_is_no_relay(chain, rpc):
    forged = registration(chain, 1)._replace(possession=bytes(64))
    await register_relays(rpc, chain.deployment, [forged, registration(chain, 2)])
    chain.advance(3 * EPOCH_S)
    view = (await chain.reader().read(chain.wall)).views[1]
    assert view.unproven == (relay_id(1),)
    assert [entry.relay_id for entry in view] == [relay_id(2)]


async def test_exit_and_renewal_are_followed(populated, populated_rpc):
    slots = await RelaySlots.read(populated_rpc, populated.deployment)
    operator = ACCOUNTS[2]
    sender = Sender(populated_rpc, operator.secret, populated.deployment.chain_id)
    await sender.send(slots.exit(operator.address, relay_id(2)))
    populated.advance(3 * EPOCH_S)
    view = (await populated.reader().read(populated.wall)).views[1]
    assert {entry.relay_id for entry in view} == {relay_id(1), relay_id(3)}


async def test_a_root_that_the_network_file_vouches_for(populated):
    epoch = populated.wall // EPOCH_S
    anchor = populated.anchor()
    view = (await populated.reader().read(populated.wall)).views[1]
    endpoints = Endpoints.of([populated.client(), populated.client()])
    for trusted, good in (
        (TrustedRoot(epoch, view.root), True),
        (TrustedRoot(epoch, b"\x01" * 32), False),
        (TrustedRoot(epoch + 2, b"\x01" * 32), True),  # not final yet: nothing to compare
    ):
        object.__setattr__(anchor, "trusted_root", trusted)
        if good:
            await read_registry(endpoints, anchor, populated.wall)
        else:
            with pytest.raises(RegistryRootError, match="network file"):
                await read_registry(endpoints, anchor, populated.wall)
