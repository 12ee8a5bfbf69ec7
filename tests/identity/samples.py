"""A network, an account and everything that hangs on it, made from fixed bytes."""

import hashlib
import json
from pathlib import Path

from peerstream.identity import (
    Audience,
    CredentialChain,
    Delegation,
    DelegationChecks,
    DescriptorContents,
    DescriptorKey,
    DeviceKeys,
    HandshakeKey,
    IdentityKey,
    IntroductionPoint,
    LocalSigner,
    Record,
    RecordRules,
    Scope,
    blind_secret,
    seal_descriptor,
)

NOW = 1_800_000_000
DAY = 86_400
PERIOD = NOW // DAY


def fixed(name, size=32):
    return hashlib.shake_256(name.encode()).digest(size)


class FixedEntropy:
    """Bytes that look random and repeat with the seed."""

    def __init__(self, seed="entropy"):
        self.seed, self.count = seed, 0

    def __call__(self, size):
        self.count += 1
        return fixed(f"{self.seed} {self.count}", size)


def vectors(name):
    path = Path(__file__).parent.parent / "vectors" / f"identity-{name}.json"
    return json.loads(path.read_text())


NETWORK = fixed("network")
RULES = RecordRules(network_id=NETWORK)
WALLET = LocalSigner(fixed("wallet"))
IDENTITY = IdentityKey.from_bytes(fixed("identity"))
DEVICE = DeviceKeys.from_bytes(fixed("device", 64))


def delegation(**changes):
    values = {
        "account": WALLET.address,
        "identity_key": IDENTITY.public,
        "issued": NOW,
        "not_before": NOW - 3_600,
        "not_after": NOW + 60 * DAY,
        "scope": Scope.ACCEPT | Scope.DIAL,
        "label": "laptop",
    }
    return Delegation(**values | changes)


SIGNED = delegation().sign(WALLET, NETWORK)
CHAIN = CredentialChain.issue(
    SIGNED, IDENTITY, DEVICE, not_before=NOW - 3_600, not_after=NOW + 20 * DAY
)


def checks(**changes):
    values = {"network_id": NETWORK, "now": NOW, "required_scope": Scope.ACCEPT}
    return DelegationChecks(**values | changes)


def points(count, name="relay"):
    return tuple(
        IntroductionPoint(fixed(f"{name} {n}"), fixed(f"auth {name} {n}"), 0) for n in range(count)
    )


def contents(**changes):
    values = {
        "delegation": SIGNED,
        "handshake_keys": (HandshakeKey(fixed("hk", 1_216), NOW + 3_600),),
        "introduction_points": points(3),
        "view_epoch": 7,
        "view_root": fixed("root"),
    }
    return DescriptorContents(**values | changes)


def descriptor_key(contact_secret=b"", period=PERIOD):
    blinded = blind_secret(IDENTITY, period, contact_secret)
    return DescriptorKey(blinded, NETWORK, FixedEntropy("descriptor key"))


def record(audience=None, period=PERIOD, **changes):
    audience = audience or Audience()
    values = {"revision": NOW, "expiry": NOW + 3_600, "entropy": FixedEntropy()}
    key = descriptor_key(audience.contact_secret, period)
    return seal_descriptor(
        changes.pop("contents", None) or contents(), key, audience=audience, **values | changes
    )


def verified(data, **changes):
    return Record.parse(data).verify(**{"now": NOW, "rules": RULES} | changes)
