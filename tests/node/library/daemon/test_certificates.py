"""A node that runs for months keeps a good certificate, until its wallet's word is over."""

import os
from types import SimpleNamespace

import pytest
import trio

from peerstream.identity.signer import LocalSigner
from peerstream.node.library.daemon import certificates
from peerstream.node.library.daemon.certificates import keep_certified
from peerstream.node.library.identities import NewIdentity, make_identity
from peerstream.node.ports import Environment, StorageError
from peerstream.node.store.keystore import KeyFile, Keystore
from tests.node.roles.relays import MemoryClock

DAY = 86_400


@pytest.fixture
def keystore(tmp_path):
    unlock = KeyFile(tmp_path / "key")
    unlock.make(os.urandom)
    return Keystore.create(tmp_path / "keystore", unlock, os.urandom)


def somebody(keystore):
    environment = Environment(MemoryClock(), os.urandom)
    wanted = NewIdentity(network_id=bytes(32), account=LocalSigner(b"\7" * 32).address, listed=True)
    node = SimpleNamespace(
        identity=make_identity(keystore, wanted, LocalSigner(b"\7" * 32), environment), renewed=0
    )

    def renew(identity):
        node.identity = identity
        node.renewed += 1

    node.renew = renew
    return node, environment


async def test_a_certificate_is_good_whenever_one_looks(keystore, autojump_clock):
    node, environment = somebody(keystore)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_certified, node, keystore, environment)
        for _ in range(85):
            await trio.sleep(DAY)
            certificate = node.identity.chain.certificate
            now = environment.clock.wall()
            assert certificate.not_before <= now < certificate.not_after - 4 * DAY
        assert 3 <= node.renewed <= 6
        with trio.fail_after(10 * DAY):  # the delegation ends, and with it the task
            while nursery.child_tasks:  # noqa: ASYNC110 - it says so in the log alone
                await trio.sleep(DAY)


async def test_a_disk_that_fails_is_tried_again_soon(keystore, autojump_clock, monkeypatch):
    node, environment = somebody(keystore)
    before, real = node.identity, certificates.load_identity
    monkeypatch.setattr(
        certificates, "load_identity", lambda *_: (_ for _ in ()).throw(StorageError)
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_certified, node, keystore, environment)
        await trio.sleep(25 * DAY)
        assert node.identity is before
        monkeypatch.setattr(certificates, "load_identity", real)
        await trio.sleep(2 * certificates.AGAIN_S)
        assert node.renewed == 1
        nursery.cancel_scope.cancel()
