"""Streams with another isolation look like another caller's (SPEC 10.6)."""

from peerstream.node.roles.dialler import Dialling
from peerstream.node.roles.service import ServiceOffer
from tests.node.roles.people import echo, exchange, two_people
from tests.node.roles.relays import network, until


async def test_streams_apart_share_no_session_and_no_circuit(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, echo=ServiceOffer(echo, anonymous=True))
        for tab in (b"", b"one", b"two"):
            dialling = Dialling(anonymous=True, isolation=tab)
            for _ in range(2):
                stream = await caller.client.open_stream(callee.target, "echo", dialling)
                await exchange(stream, b"x" * 100)
        assert callee.service.sessions == 3
        carrying = [set(each._circuits.values()) for each in caller.client._sessions.values()]
        assert len(set().union(*carrying)) == sum(map(len, carrying)) >= 3
        await caller.client.aclose()
        await until(lambda: callee.service.sessions == 0, 10)


async def test_a_descriptor_fetched_for_one_is_not_used_for_another(autojump_clock, monkeypatch):
    """Else a callee that shows each reader points of its own knows them again."""
    async with network() as world:
        caller, callee = await two_people(world, echo=ServiceOffer(echo, anonymous=True))
        fetched = []
        lookups = caller.client.dialler.lookups
        whole = lookups.descriptor

        async def counting(sought, care):
            fetched.append(sought)
            return await whole(sought, care)

        monkeypatch.setattr(lookups, "descriptor", counting)
        ways = [
            Dialling(),
            Dialling(anonymous=True),
            Dialling(anonymous=True, isolation=b"one"),
            Dialling(anonymous=True, isolation=b"two"),
        ]
        for dialling in [*ways, *ways]:
            await caller.client.dial(callee.target, "echo", dialling)
        assert len(fetched) == len(ways)


async def test_an_isolation_is_in_no_repr(autojump_clock):
    assert "secret" not in repr(Dialling(isolation=b"secret"))
