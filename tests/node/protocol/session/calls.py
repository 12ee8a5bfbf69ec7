"""A caller and a callee with real keys and certificates, for tests of the handshake."""

import random

from peerstream.identity.delegation import Delegation, DelegationChecks, Scope
from peerstream.identity.device import CredentialChain
from peerstream.identity.keys import DeviceKeys, IdentityKey
from peerstream.identity.signer import LocalSigner
from peerstream.node.protocol.onion.kem import KemPrivateKey
from peerstream.node.protocol.onion.replay import ReplayFilter
from peerstream.node.protocol.session.handshake import (
    CallAnswer,
    Callee,
    CalleePolicy,
    CallerHandshake,
    CallerIdentity,
    CallRequest,
    HandshakeKey,
    ServicePolicy,
    open_message1,
)

WALL = 1_790_000_000
EPOCH = 77
NETWORK = bytes(range(32))
RELAY = b"\x11" * 32
ROOT = b"\x22" * 32
AUTH = b"\x33" * 32
ANSWER = CallAnswer(streams=128, stream_window=262_144)


def entropy(seed):
    return random.Random(seed).randbytes


def callee(**changes):
    values = {
        "network_id": NETWORK, "account": b"\x44" * 20, "blinded_key": b"\x55" * 32,
        "period": 20_000, "auth_public": AUTH, "handshake_key": KEY.public,
    }  # fmt: skip
    return Callee(**{**values, **changes})


def request(**changes):
    values = {
        "relay_id": RELAY, "cookie": b"\x66" * 32, "epoch": EPOCH, "root": ROOT, "level": 2,
        "cell_class": 2, "bucket": WALL // 600, "service": "files",
    }  # fmt: skip
    return CallRequest(**{**values, **changes})


class StaticViews:
    def __init__(self, roots=None, relays=(RELAY,), admitted=()):
        self._roots = roots or {EPOCH - 1: b"\x21" * 32, EPOCH: ROOT, EPOCH + 1: b"\x23" * 32}
        self._relays, self._admitted = relays, admitted

    def roots(self):
        return self._roots

    def knows(self, relay_id):
        return relay_id in self._relays

    def admits(self, relay_id, descriptor):
        return (relay_id, descriptor) in self._admitted


def policy(level=2, views=None, services=None):
    offered = {
        "files": ServicePolicy(anonymous=True),
        "web": ServicePolicy(anonymous=True, early_data=True),
        "friends": ServicePolicy(anonymous=False, early_data=True),
    }
    return CalleePolicy(level, views or StaticViews(), services or offered)


def credentials(seed=b"caller", network_id=NETWORK, **lifetime):
    """An encoded chain and the device keys it is for."""
    source = entropy(seed)
    signer = LocalSigner(source(32))
    identity = IdentityKey.generate(source)
    device = DeviceKeys.generate(source)
    start, end = lifetime.get("start", WALL - 60), lifetime.get("end", WALL + 86_400)
    delegation = Delegation(
        account=signer.address, identity_key=identity.public, issued=start, not_before=start,
        not_after=end, scope=Scope.ACCEPT | Scope.DIAL, label="test",
    )  # fmt: skip
    chain = CredentialChain.issue(
        delegation.sign(signer, network_id), identity, device,
        not_before=start, not_after=end,
    )  # fmt: skip
    return chain.encode(), device, signer.address


def checks(**changes):
    values = {"network_id": NETWORK, "now": WALL, "required_scope": Scope.DIAL}
    return DelegationChecks(**{**values, **changes})


KEY = KemPrivateKey.from_seed(b"\x77" * 32)
CHAIN, DEVICE, ACCOUNT = credentials()


def call(identity=None, to=None, seed=1, resume=None, **changes):
    return CallerHandshake(
        to or callee(), request(**changes), entropy=entropy(seed), identity=identity, resume=resume
    )


def named():
    return CallerIdentity(CHAIN, DEVICE)


def published(*callees, private=KEY):
    return {c.key_id: HandshakeKey(c, private) for c in callees or (callee(),)}


def opened(message, *, keys=None, replay=None, auth=AUTH, wall=WALL):
    return open_message1(
        message,
        auth_public=auth,
        keys=published() if keys is None else keys,
        replay=ReplayFilter() if replay is None else replay,
        wall=wall,
    )
