import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.chain.blocks import first_block_since, read_header
from peerstream.node.chain.errors import (
    BadProofError,
    EndpointRefusedError,
    EndpointsDisagreeError,
    MalformedAnswerError,
)
from peerstream.node.chain.roots import PLACES, read_roots, root_at
from tests.hostile.chain_endpoints import LyingEndpoint, RefusingEndpoint
from tests.node.chain.chains import EPOCH_S


def ring(changes: list[int]) -> list[bytes]:
    """Five words as the contract leaves them after changes that act from these epochs."""
    epochs, roots, head = [0] * PLACES, [bytes(32)] * PLACES, 0
    roots[0] = b"\xee" * 32
    for number, epoch in enumerate(changes):
        if epochs[head] != epoch:
            head = (head + 1) % PLACES
            epochs[head] = epoch
        roots[head] = bytes([number + 1]) * 32
    packed = head << 192 | sum(epoch << 48 * place for place, epoch in enumerate(epochs))
    return [packed.to_bytes(32, "big"), *roots]


@given(st.lists(st.integers(0, 3), max_size=20), st.integers(2, 1_000))
def test_the_last_epochs_have_the_root_that_acted_then(steps, start):
    changes, epoch = [], start
    for step in steps:
        epoch += step
        changes.append(epoch)
    words = ring(changes)
    for asked in range(max(0, epoch - 3), epoch + 3):
        acted = [number for number, since in enumerate(changes) if since <= asked]
        wanted = bytes([acted[-1] + 1]) * 32 if acted else b"\xee" * 32
        assert root_at(words, asked) == wanted


def test_a_root_that_is_forgotten():
    with pytest.raises(BadProofError, match="epoch 3"):
        root_at(ring([10, 11, 12, 13]), 3)


async def heads(chain):
    client = chain.client()
    return client, await read_header(client, "latest")


async def test_roots_with_and_without_a_proof(populated):
    client, head = await heads(populated)
    epochs = [head.timestamp // EPOCH_S + n for n in (-1, 0, 1)]
    registry = populated.deployment.relay_registry
    proven = await read_roots(client, registry, head, epochs)
    said = populated.client(RefusingEndpoint(populated.handle, "eth_getProof"))
    assert proven == await read_roots(said, registry, head, epochs)
    assert len(set(proven)) == 1


async def test_a_lie_that_its_own_proof_shows(populated):
    _, head = await heads(populated)
    liar = LyingEndpoint(populated.handle, "eth_call", lambda *_: "0x" + "ab" * 32)
    with pytest.raises(BadProofError, match="than it proves"):
        await read_roots(
            populated.client(liar),
            populated.deployment.relay_registry,
            head,
            [head.timestamp // EPOCH_S],
        )


async def test_an_epoch_that_is_not_final(populated):
    client, head = await heads(populated)
    with pytest.raises(EndpointRefusedError):
        await read_roots(
            client, populated.deployment.relay_registry, head, [head.timestamp // EPOCH_S + 2]
        )


async def test_the_first_block_since_a_time(chain):
    for seconds in (7, 0, 5, 100, 1):
        chain.advance(seconds)
    client, head = await heads(chain)
    times = [block.header.timestamp for block in chain.ledger.blocks]
    for since in {*times, *(time + 1 for time in times), 0}:
        if since > head.timestamp:
            continue
        found = await first_block_since(client, since, head)
        assert found.number == next(n for n, time in enumerate(times) if time >= since)


async def test_a_block_that_does_not_exist(chain):
    with pytest.raises(MalformedAnswerError, match="no block 0xffff"):
        await read_header(chain.client(), "0xffff")


async def test_blocks_under_other_numbers(chain):
    _, head = await heads(chain)
    zero = chain.methods.call("eth_getBlockByNumber", ["0x0", False])
    liar = LyingEndpoint(chain.handle, "eth_getBlockByNumber", lambda *_: zero)
    with pytest.raises(MalformedAnswerError, match="another block"):
        await first_block_since(chain.client(liar), head.timestamp, head)


async def test_times_that_do_not_rise(chain):
    chain.advance(10)
    _, head = await heads(chain)

    def lie(params, block):
        # The search ends at the head; the block before it then claims to be late as well.
        searched.append(params[0])
        return (
            block | {"timestamp": hex(head.timestamp)} if searched.count(params[0]) > 1 else block
        )

    searched = []
    client = chain.client(LyingEndpoint(chain.handle, "eth_getBlockByNumber", lie))
    with pytest.raises(EndpointsDisagreeError):
        await first_block_since(client, head.timestamp, head)
