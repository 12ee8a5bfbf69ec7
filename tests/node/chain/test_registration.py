from dataclasses import replace

import pytest

from peerstream.identity.signer import LocalSigner
from peerstream.node.chain.errors import (
    NoFundsError,
    StakeTooLowError,
    StaleSiblingsError,
    TransactionRevertedError,
    WrongKeyError,
)
from peerstream.node.chain.registration import (
    Equivocation,
    RegistryFullError,
    RelayRegistration,
    RelaySlots,
    register_one_by_one,
    register_relays,
    reward_withdrawal,
    slashing,
    withdrawal,
)
from peerstream.node.chain.sending import Sender
from peerstream.node.protocol.directory.merkle import CAPACITY
from peerstream.node.protocol.directory.relay_descriptor import statement_typed_data
from tests.node.chain.chains import (
    ACCOUNTS,
    EPOCH_S,
    STAKE,
    Chain,
    registration,
    relay_id,
)


def sender(rpc, number: int) -> Sender:
    return Sender(rpc, ACCOUNTS[number].secret, 31337)


async def test_twelve_relays_in_one_batch(chain, rpc):
    added = await register_relays(
        rpc, chain.deployment, [registration(chain, n) for n in range(1, 13)]
    )
    assert [entry.slot for entry in added] == list(range(12))
    chain.advance(3 * EPOCH_S)
    snapshot = await chain.reader().read(chain.wall)
    assert {e.relay_id for e in snapshot.views[1]} == {relay_id(n) for n in range(1, 13)}
    assert snapshot.latest == tuple(added)


async def test_an_epoch_that_begins_between_two_registrations_stops_neither(chain, rpc):
    def over_midnight():
        yield RelayRegistration(*registration(chain, 1))
        chain.advance(EPOCH_S)
        yield RelayRegistration(*registration(chain, 2))
        yield RelayRegistration(*registration(chain, 3))

    await register_one_by_one(rpc, chain.deployment, over_midnight())
    chain.advance(3 * EPOCH_S)
    snapshot = await chain.reader().read(chain.wall)
    assert {e.relay_id for e in snapshot.views[1]} == {relay_id(n) for n in (1, 2, 3)}


async def test_free_slots_are_filled_again(populated, populated_rpc):
    slots = await RelaySlots.read(populated_rpc, populated.deployment)
    await sender(populated_rpc, 2).send(slots.exit(ACCOUNTS[2].address, relay_id(2)))
    (added,) = await register_relays(
        populated_rpc, populated.deployment, [registration(populated, 5)]
    )
    assert added.slot == 1


async def test_renewal_keeps_the_age_and_changes_the_keys(populated, populated_rpc):
    slots = await RelaySlots.read(populated_rpc, populated.deployment)
    before = slots.of_operator(ACCOUNTS[1].address, relay_id(1))
    changed = replace(before, sign_key=ACCOUNTS[40].address.raw, family=b"\x05" * 32)
    plan = slots.renewal(ACCOUNTS[1].address, changed, added_stake=STAKE)
    await sender(populated_rpc, 1).send(plan)
    after = (await RelaySlots.read(populated_rpc, populated.deployment)).entries[before.slot]
    assert after == replace(changed, weight=2 * STAKE)


async def test_a_relay_leaves_and_takes_its_stake(populated, populated_rpc):
    slots = await RelaySlots.read(populated_rpc, populated.deployment)
    await sender(populated_rpc, 2).send(slots.exit(ACCOUNTS[2].address, relay_id(2)))
    back = withdrawal(populated.deployment, relay_id(2))
    with pytest.raises(TransactionRevertedError, match="RelayRegistryLocked"):
        await sender(populated_rpc, 2).send(back)
    populated.advance(3 * EPOCH_S + populated.deployment.settings.unbonding_s)
    before = balance(populated, 2)
    await sender(populated_rpc, 2).send(back)
    assert before + STAKE > balance(populated, 2) > before + STAKE - 10**16


def balance(chain: Chain, number: int) -> int:
    return int(chain.methods.call("eth_getBalance", [str(ACCOUNTS[number].address)]), 16)


def signed(chain: Chain, number: int, epoch: int, digest: bytes) -> bytes:
    signer = LocalSigner(ACCOUNTS[63 - number].secret)
    network_id = chain.deployment.network_id
    return signer.sign_typed_data(statement_typed_data(network_id, relay_id(number), epoch, digest))


def two_statements(chain: Chain, number: int) -> Equivocation:
    epoch, first, second = chain.wall // EPOCH_S, b"\x01" * 32, b"\x02" * 32
    return Equivocation(
        epoch,
        0,
        first,
        signed(chain, number, epoch, first),
        second,
        signed(chain, number, epoch, second),
    )


async def test_two_statements_cost_the_stake(populated, populated_rpc):
    deployment, operator = populated.deployment, ACCOUNTS[3].address
    evidence = two_statements(populated, 3)
    await sender(populated_rpc, 30).send(slashing(deployment, operator, relay_id(3), evidence))
    before = balance(populated, 30)
    await sender(populated_rpc, 30).send(reward_withdrawal(deployment))
    assert balance(populated, 30) > before + STAKE // 20 - 10**16
    slots = await RelaySlots.read(populated_rpc, deployment)
    await sender(populated_rpc, 31).send(slots.clearing(operator, relay_id(3)))
    populated.advance(3 * EPOCH_S)
    view = (await populated.reader().read(populated.wall)).views[1]
    assert {entry.relay_id for entry in view} == {relay_id(1), relay_id(2)}


async def test_one_statement_twice_costs_nothing(populated, populated_rpc):
    evidence = two_statements(populated, 3)
    same = evidence._replace(
        second_hash=evidence.first_hash, second_signature=evidence.first_signature
    )
    plan = slashing(populated.deployment, ACCOUNTS[3].address, relay_id(3), same)
    with pytest.raises(TransactionRevertedError, match="NoEquivocation"):
        await sender(populated_rpc, 30).send(plan)


async def test_too_little_stake(chain, rpc):
    with pytest.raises(StakeTooLowError, match=r"minimum 1000000000000000000"):
        await register_relays(rpc, chain.deployment, [registration(chain, 1, STAKE - 1)])


async def test_stale_siblings_of_a_batch(chain, rpc):
    slots = await RelaySlots.read(rpc, chain.deployment)
    _, plan = slots.add(registration(chain, 1))
    await register_relays(rpc, chain.deployment, [registration(chain, 2)])
    with pytest.raises(StaleSiblingsError):
        await sender(rpc, 1).send(plan)


async def test_the_wrong_key(populated, populated_rpc):
    slots = await RelaySlots.read(populated_rpc, populated.deployment)
    with pytest.raises(WrongKeyError, match="has not registered"):
        slots.exit(ACCOUNTS[2].address, relay_id(1))
    plan = slots.exit(ACCOUNTS[1].address, relay_id(1))
    with pytest.raises(WrongKeyError, match="RelayRegistryNotRegistered"):
        await sender(populated_rpc, 2).send(plan)


async def test_no_funds(chain, rpc):
    poor = registration(chain, 1)._replace(operator_key=b"\x77" * 32)
    with pytest.raises(NoFundsError):
        await register_relays(rpc, chain.deployment, [poor])
    slots = await RelaySlots.read(rpc, chain.deployment)
    _, plan = slots.add(registration(chain, 1))
    with pytest.raises(NoFundsError):
        await Sender(rpc, b"\x77" * 32, 31337).send(plan)


async def test_registering_twice(populated, populated_rpc):
    with pytest.raises(TransactionRevertedError, match="AlreadyRegistered"):
        await register_relays(populated_rpc, populated.deployment, [registration(populated, 1)])


async def test_a_full_set(populated):
    slots = RelaySlots(populated.deployment, (), 1)
    entry, _ = slots.add(registration(populated, 1))
    full = RelaySlots(populated.deployment, (replace(entry, slot=n) for n in range(CAPACITY)), 1)
    with pytest.raises(RegistryFullError):
        full.add(registration(populated, 2))


def test_a_plan_says_in_words_what_it_does(populated):
    slots = RelaySlots(populated.deployment, (), 7)
    _, plan = slots.add(registration(populated, 1, STAKE * 3 // 2))
    assert plan.summary == (
        f"register relay {relay_id(1).hex()} of operator {ACCOUNTS[1].address}",
        f"signing key {ACCOUNTS[62].address}",
        "in the set from epoch 9 to 100009",
        "stake 1.5 ether",
    )
