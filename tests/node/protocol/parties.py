"""A caller and a callee of one network, each with a wallet, keys, a descriptor and a view."""

import hashlib
from dataclasses import dataclass

from peerstream.identity import Audience
from peerstream.identity.blinding import blind_secret
from peerstream.identity.delegation import Delegation, DelegationChecks, Scope
from peerstream.identity.descriptor.contents import (
    DescriptorContents,
    HandshakeKey,
    IntroductionPoint,
)
from peerstream.identity.descriptor.record import DescriptorKey, RecordRules
from peerstream.identity.descriptor.sealing import seal_descriptor
from peerstream.identity.device import CredentialChain
from peerstream.identity.keys import DeviceKeys, IdentityKey
from peerstream.identity.signer import LocalSigner
from peerstream.node.protocol.directory.lookup import Judge, Sought
from peerstream.node.protocol.onion.kem import KemPrivateKey
from peerstream.node.protocol.onion.replay import ReplayFilter
from peerstream.node.protocol.rendezvous.call import Call, CallTerms
from peerstream.node.protocol.rendezvous.ranking import HeldSession, ReceptionRules
from peerstream.node.protocol.rendezvous.reception import Reception
from peerstream.node.protocol.session.callee import HandshakeKey as OwnHandshakeKey
from peerstream.node.protocol.session.caller import CallerIdentity
from peerstream.node.protocol.session.handshake import Callee, CalleePolicy, ServicePolicy
from peerstream.node.protocol.wire.sizes import INTRODUCTION_BLOB_SIZE
from tests.node.protocol.directory.network import (
    EPOCH,
    NETWORK,
    WALL,
    full_directory,
    relay,
    seeded,
)

DAY = 86_400
PERIOD = WALL // DAY
RELAYS = [relay(number) for number in range(9)]
DIRECTORY = full_directory(RELAYS)
ROOT = DIRECTORY.view(WALL).root
POINTS = [each.relay_id for each in RELAYS[:3]]
RENDEZVOUS = RELAYS[5].relay_id
OTHER_NETWORK = bytes(31) + b"\x01"


class Views:
    """The callee's own views, from its directory."""

    def __init__(self, roots=None):
        self._roots = roots or {EPOCH: ROOT}

    def roots(self):
        return self._roots

    def knows(self, relay_id):
        return relay_id in {each.relay_id for each in RELAYS}

    def admits(self, relay_id, descriptor):
        return False


@dataclass
class Party:
    """Everything of one account on one network; `name` seeds its keys."""

    name: str
    network_id: bytes = NETWORK
    issued: int = WALL - 3_600
    life: int = 60 * DAY
    scope: Scope = Scope.ACCEPT | Scope.DIAL

    def __post_init__(self):
        draw = seeded(self.name)
        self.signer = LocalSigner(draw(32))
        self.account = self.signer.address
        self.identity = IdentityKey.generate(draw)
        self.device = DeviceKeys.generate(draw)
        self.handshake = KemPrivateKey.from_seed(draw(32))
        self.auth = [hashlib.sha256(self.name.encode() + bytes([n])).digest() for n in range(3)]
        self.signed = self.delegation().sign(self.signer, self.network_id)

    def delegation(self, account=None):
        return Delegation(
            account=account or self.account, identity_key=self.identity.public, issued=self.issued,
            not_before=self.issued, not_after=self.issued + self.life,
            scope=self.scope, label="test",
        )  # fmt: skip

    def chain(self, *, device=None, signed=None):
        return CredentialChain.issue(
            signed or self.signed, self.identity, device or self.device,
            not_before=self.issued, not_after=self.issued + min(self.life, 20 * DAY),
        )  # fmt: skip

    def named(self, **changes):
        return CallerIdentity(self.chain(**changes).encode(), self.device)

    # as a callee

    def contents(self, **changes):
        points = tuple(
            IntroductionPoint(relay_id, auth, 0)
            for relay_id, auth in zip(POINTS, self.auth, strict=True)
        )
        values = {
            "delegation": self.signed,
            "handshake_keys": (HandshakeKey(self.handshake.public.raw, WALL + 3_600),),
            "introduction_points": points,
            "view_epoch": EPOCH,
            "view_root": ROOT,
        }
        return DescriptorContents(**{**values, **changes})

    def descriptor(self, *, revision=WALL - 10, expiry=WALL + 3_000, period=PERIOD, **changes):
        key = DescriptorKey(blind_secret(self.identity, period), self.network_id, seeded("dk"))
        return seal_descriptor(
            self.contents(**changes), key, revision=revision, expiry=expiry,
            audience=Audience(), entropy=seeded("seal"),
        )  # fmt: skip

    def reception(self, replay=None):
        replay = ReplayFilter() if replay is None else replay  # an empty one is falsy
        reception = Reception(replay, seeded("reception"))
        blinded = blind_secret(self.identity, PERIOD).public
        callees = [
            Callee(self.network_id, self.account.raw, blinded, PERIOD, auth, self.handshake.public)
            for auth in self.auth
        ]
        reception.keys = {c.key_id: OwnHandshakeKey(c, self.handshake) for c in callees}
        return reception

    def receives(self, message, *, reception=None, auth=0, **changes):
        reception = reception or self.reception()
        return reception.receive(self.auth[auth], message, rules(**changes))

    # as a caller

    def judges(self, document, callee, *, highest=0, **changes):
        """What this caller makes of a descriptor that a store gave for the callee."""
        judge = Judge(RecordRules(network_id=self.network_id), DIRECTORY)
        sought = Sought(callee.account, callee.identity.public)
        return judge.descriptor(
            document, sought, PERIOD, checks=checks(**changes), highest_revision=highest
        )

    def call(self, found, *, identity=None, resume=None, **changes):
        terms = {
            "network_id": self.network_id, "blinded": found.blinded, "period": found.period,
            "epoch": EPOCH, "root": ROOT, "level": 2, "cell_class": 2, "bucket": WALL // 600,
            "cookie": bytes(32), "service": "files",
        }  # fmt: skip
        return Call(
            found.contents, CallTerms(**{**terms, **changes}),
            wall=WALL, entropy=seeded(f"{self.name} calls"), identity=identity, resume=resume,
        )  # fmt: skip

    def calls(self, found, *, point=0, rendezvous=RENDEZVOUS, **changes):
        """A call, and its introduction as it comes to the callee from one of the points."""
        call = self.call(found, **changes)
        body = call.introduce(POINTS[point], rendezvous)
        return call, body[-INTRODUCTION_BLOB_SIZE:]


def checks(**changes):
    values = {"network_id": NETWORK, "now": WALL, "required_scope": Scope.ACCEPT}
    return DelegationChecks(**{**values, **changes})


def rules(*, level=2, roots=None, revoked_devices=(), anonymous=True, resume_key=None, **changes):
    return ReceptionRules(
        policy=CalleePolicy(level, Views(roots), {"files": ServicePolicy(anonymous=anonymous)}),
        checks=checks(required_scope=Scope.DIAL, **changes),
        is_device_revoked=lambda _account, device: device in revoked_devices,
        held=lambda _session_id: None if resume_key is None else HeldSession(resume_key, level),
    )
