"""Commitments on a chain: posted by anybody, read by everybody, and what a forged log comes to."""

from dataclasses import replace

import pytest

from peerstream.identity.blinding import blind_secret
from peerstream.identity.descriptor.commitment import Commitment
from peerstream.node.chain.board import COMMITTED, Board, read_commitment
from peerstream.node.chain.committing import ChainCommitter, commit_plan
from peerstream.node.chain.errors import (
    EndpointsDisagreeError,
    MalformedAnswerError,
    TransactionRevertedError,
    WrongContractError,
)
from peerstream.node.chain.events import Log
from peerstream.node.chain.sending import Sender
from peerstream.node.ports import CommitError
from tests.hostile.chain_endpoints import LyingEndpoint
from tests.node.chain.chains import ACCOUNTS, CONSTANTS
from tests.node.protocol.directory.test_store import identity

PERIOD_S = CONSTANTS.period_s


def board_of(chain):
    return chain.deployment.addresses["rendezvous_board"]


async def commit(chain, rpc, revision, *, ahead=0, name="S", digest=bytes(32)):
    """Have somebody who pays post what a key signed; returns what it says."""
    deployment = chain.deployment
    key = blind_secret(identity(name), chain.wall // PERIOD_S + ahead)
    said = Commitment(key.public, key.period, revision, digest)
    plan = commit_plan(board_of(chain), said, said.sign(key, deployment.network_id))
    await Sender(rpc, ACCOUNTS[9].secret, deployment.chain_id).send(plan)
    return said


async def test_everybody_reads_the_newest_commitment_of_each_key(chain, rpc):
    reader = chain.reader()
    assert (await reader.read(chain.wall)).commitments == {}
    first = await commit(chain, rpc, chain.wall)
    other = await commit(chain, rpc, chain.wall, name="T")
    ahead = await commit(chain, rpc, chain.wall, ahead=1)
    found = (await reader.read(chain.wall)).commitments
    assert set(found.values()) == {first, other, ahead}
    newer = await commit(chain, rpc, chain.wall + 5, digest=b"n" * 32)
    for each in (reader, chain.reader()):
        found = (await each.read(chain.wall)).commitments
        assert found[newer.blinded, newer.period] == newer


async def test_nobody_takes_a_commitment_back(chain, rpc):
    said = await commit(chain, rpc, chain.wall)
    with pytest.raises(TransactionRevertedError, match="StaleRevision"):
        await commit(chain, rpc, said.revision)
    with pytest.raises(TransactionRevertedError, match="FutureRevision"):
        await commit(chain, rpc, chain.wall + 4_000)


async def test_a_stranger_cannot_commit_for_a_key(chain, rpc):
    key, other = (blind_secret(identity(name), 1) for name in "ST")
    said, its = (Commitment(each.public, 1, 1, bytes(32)) for each in (key, other))
    committer = ChainCommitter(
        board_of(chain), Sender(rpc, ACCOUNTS[9].secret, chain.deployment.chain_id)
    )
    with pytest.raises(CommitError, match="BadSignature"):
        await committer(said, its.sign(other, chain.deployment.network_id))
    await committer(said, said.sign(key, chain.deployment.network_id))


async def test_periods_that_are_over_or_far_are_not_kept(chain, rpc):
    said = await commit(chain, rpc, chain.wall)
    await commit(chain, rpc, chain.wall, ahead=9)
    reader = chain.reader()
    assert set((await reader.read(chain.wall)).commitments.values()) == {said}
    chain.advance(PERIOD_S)
    for each in (reader, chain.reader()):
        assert set((await each.read(chain.wall)).commitments.values()) == {said}
    chain.advance(PERIOD_S)
    for each in (reader, chain.reader()):
        assert (await each.read(chain.wall)).commitments == {}


async def test_a_network_file_without_a_board_is_read_without_one(chain, rpc):
    await commit(chain, rpc, chain.wall)
    anchor = replace(chain.anchor(), board=None)
    reader = chain.reader(anchor=anchor)
    assert (await reader.read(chain.wall)).commitments == {}


async def test_a_board_of_another_network_is_refused(chain):
    anchor = replace(chain.anchor(), board=chain.deployment.relay_registry)
    with pytest.raises(WrongContractError):
        await chain.reader(anchor=anchor).read(chain.wall)


async def test_an_endpoint_that_hides_a_commitment_is_noticed(chain, rpc):
    await commit(chain, rpc, chain.wall)

    def hide(params, result):
        return [] if params[0].get("topics") else result

    liar = LyingEndpoint(chain.handle, "eth_getLogs", hide)
    with pytest.raises(EndpointsDisagreeError):
        await chain.reader(chain.handle, liar).read(chain.wall)


async def test_logs_of_another_event_are_refused(chain, rpc):
    await commit(chain, rpc, chain.wall)

    def rename(params, result):
        if params[0].get("topics"):
            return [{**log, "topics": ["0x" + "11" * 32, *log["topics"][1:]]} for log in result]
        return result

    liar = LyingEndpoint(chain.handle, "eth_getLogs", rename)
    with pytest.raises(MalformedAnswerError):
        await chain.reader(liar, liar).read(chain.wall)


GOOD = Log(
    contract=bytes(20),
    topics=(COMMITTED, b"b" * 32, (7).to_bytes(32)),
    data=(9).to_bytes(32) + b"d" * 32,
    block=1,
    index=0,
)


def test_a_log_is_read_as_it_was_written():
    assert read_commitment(GOOD) == Commitment(b"b" * 32, 7, 9, b"d" * 32)


@pytest.mark.parametrize(
    "change",
    [
        {"topics": GOOD.topics[:2]},
        {"topics": (bytes(32), *GOOD.topics[1:])},
        {"topics": (*GOOD.topics[:2], b"\1" * 32)},
        {"data": GOOD.data[:32]},
        {"data": b"\1" * 64},
    ],
)
def test_what_the_contract_never_writes_is_refused(change):
    with pytest.raises(MalformedAnswerError):
        read_commitment(replace(GOOD, **change))


def test_a_revision_that_does_not_rise_is_no_work_of_the_contract():
    board = Board()
    with pytest.raises(MalformedAnswerError):
        board.apply([GOOD, GOOD])
