"""Nothing personal goes to an endpoint: decision 0074, SPEC 8.3."""

from tests.hostile.chain_endpoints import SpyingEndpoint
from tests.node.chain.chains import ACCOUNTS, DEVICE, EPOCH_S, KEY

NAME = "alice.eth"
BLINDED = bytes(range(32))
READS = {
    "eth_chainId",
    "eth_getBlockByNumber",
    "eth_call",
    "eth_getLogs",
    "eth_getProof",
}


async def test_no_account_name_or_key_is_ever_sent(populated):
    spy = SpyingEndpoint(populated.handle)
    reader = populated.reader(spy, spy)
    for _ in range(3):
        snapshot = await reader.read(populated.wall)
        for account in ACCOUNTS:
            snapshot.identities.identity_key(account.address)
            snapshot.identities.revoked_before(account.address)
            snapshot.identities.is_device_revoked(account.address, DEVICE)
        populated.advance(EPOCH_S)
    sent = b"".join(spy.seen).lower()
    assert spy.methods() == READS
    for account in ACCOUNTS:
        assert account.address.raw.hex().encode() not in sent
    for secret in (KEY, DEVICE, BLINDED):
        assert secret.hex().encode() not in sent
    assert NAME.encode() not in sent
    assert NAME.encode().hex().encode() not in sent


async def test_only_the_contracts_of_the_network_are_named(populated):
    spy = SpyingEndpoint(populated.handle)
    await populated.reader(spy, spy).read(populated.wall)
    sent = b"".join(spy.seen).decode()
    named = {word for word in sent.replace('"', " ").split() if len(word) == 42 and "0x" in word}
    anchor = populated.anchor()
    assert {word.strip("[],") for word in named} == {
        str(anchor.relay_registry),
        str(anchor.identity_registry),
        str(anchor.board),
    }


async def test_two_readers_ask_the_same(populated):
    first, second = SpyingEndpoint(populated.handle), SpyingEndpoint(populated.handle)
    await populated.reader(first, first).read(populated.wall)
    await populated.reader(second, second).read(populated.wall)
    assert sorted(first.seen) == sorted(second.seen)


async def test_an_endpoint_cannot_mark_us(populated):
    spy = SpyingEndpoint(populated.handle)
    reader = populated.reader(spy, spy)
    await reader.read(populated.wall)
    await reader.read(populated.wall)
    assert not any("cookie" in headers for headers in spy.headers)
    assert {headers["accept-encoding"] for headers in spy.headers} == {"identity"}
