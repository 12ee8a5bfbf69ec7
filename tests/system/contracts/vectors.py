"""The vectors that Solidity, Python and TypeScript share, made by the slow second implementation.

``python -m tests.system.contracts.vectors`` writes them again.
"""

import json
from pathlib import Path
from typing import Any

from tests.reference import slow_identity as slow
from tests.system.contracts.chain import GENESIS, deployer

VECTORS = Path(__file__).parents[2] / "vectors"
DELEGATION = VECTORS / "eip712-delegation.json"
REGISTRY = VECTORS / "eip712-registry.json"
COMMITMENT = VECTORS / "chain-commitment.json"
CHAIN_ID = 31_337
WALLET = slow.sha256(b"vector wallet")
IDENTITY = slow.sha256(b"vector identity")
BLINDED = slow.sha256(b"vector blinded")
NOW = 1_800_000_000
TEXTS = {
    1: "Let this PeerStream key receive private connections as this account.",
    2: "Let this PeerStream key make private connections as this account.",
    3: "Let this PeerStream key receive and make private connections as this account.",
    7: "Let this PeerStream key receive and make private connections and publish channels"
    " as this account.",
}
Members = tuple[tuple[str, str, Any], ...]


def created(nonce: int) -> bytes:
    """Return the address of the deployer's contract of that nonce, 20 bytes."""
    account = bytes.fromhex(deployer().address[2:])
    return slow.keccak256(b"\xd6\x94" + account + (bytes([nonce]) if nonce else b"\x80"))[12:]


def network() -> bytes:
    """Return the id of the network whose registry is the deployer's first contract."""
    return slow.network_id(1, CHAIN_ID.to_bytes(8, "big") + created(0) + GENESIS)


def hashed(kind: str, value: Any) -> bytes:
    """Return a member as EIP-712 hashes it."""
    if kind == "string":
        return slow.keccak256(value.encode())
    if kind.startswith("uint"):
        return slow.word(value)
    return value.rjust(32, b"\0")


def struct_hash(name: str, members: Members) -> bytes:
    """Return hashStruct."""
    kind = f"{name}({','.join(f'{kind} {member}' for member, kind, _ in members)})"
    words = b"".join(hashed(kind_, value) for _, kind_, value in members)
    return slow.keccak256(slow.keccak256(kind.encode()) + words)


def case(name: str, members: Members) -> dict[str, Any]:
    """Return a struct as a wallet gets it, with its digest and the wallet's signature."""
    domain: Members = (
        ("name", "string", "PeerStream"),
        ("version", "string", "1"),
        ("salt", "bytes32", network()),
    )
    separator = struct_hash("EIP712Domain", domain)
    digest = slow.keccak256(b"\x19\x01" + separator + struct_hash(name, members))
    typed = {
        "types": {
            "EIP712Domain": [{"name": member, "type": kind} for member, kind, _ in domain],
            name: [{"name": member, "type": kind} for member, kind, _ in members],
        },
        "primaryType": name,
        "domain": {member: shown(kind, value) for member, kind, value in domain},
        "message": {member: shown(kind, value) for member, kind, value in members},
    }
    signature = slow.ecdsa_sign(WALLET, digest)
    return {"typed_data": typed, "digest": digest.hex(), "signature": signature.hex()}


def shown(kind: str, value: Any) -> str | int:
    """Return a member as it stands in JSON; what is larger than 2^53 as text."""
    if kind == "address":
        return slow.checksum_address(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return str(value) if isinstance(value, int) and value >= 1 << 53 else value


def delegations() -> list[dict[str, Any]]:
    """Return a delegation of each allowed scope."""
    return [
        case(
            "Delegation",
            (
                ("statement", "string", text + " It cannot move funds or sign transactions."),
                ("account", "address", slow.account_of(WALLET)),
                ("identityKey", "bytes32", slow.x_only(IDENTITY)),
                ("issued", "uint64", NOW),
                ("notBefore", "uint64", NOW - 3_600),
                ("notAfter", "uint64", NOW + 60 * 86_400),
                ("scope", "uint32", scope),
                ("label", "string", label),
            ),
        )
        for (scope, text), label in zip(
            TEXTS.items(), ("", "laptop", "a b._-9", "x" * 32), strict=True
        )
    ]


def requests() -> list[dict[str, Any]]:
    """Return each request to the identity registry, and two statements of a relay."""
    whose = (("registry", "address", created(1)), ("account", "address", slow.account_of(WALLET)))
    until = ("deadline", "uint256", 2**64 + NOW)
    key = 0x00C0FFEE << 64
    wanted = (
        ("SetIdentity", ("identityKey", "bytes32", slow.x_only(IDENTITY)), 0),
        ("RevokeBefore", ("time", "uint64", 1_700_000_000), key),
        ("RevokeDevice", ("deviceKey", "bytes32", slow.sha256(b"device")), key + 1),
    )
    return [
        *(
            case(name, (*whose, member, ("nonce", "uint256", nonce), until))
            for name, member, nonce in wanted
        ),
        *(statement(slow.sha256(text)) for text in (b"one descriptor", b"another descriptor")),
    ]


def statement(hash_: bytes) -> dict[str, Any]:
    """Return what a relay says of its descriptor of an epoch."""
    members: Members = (
        ("relayId", "bytes32", slow.sha256(b"relay")),
        ("epoch", "uint64", 3_000_000),
        ("seq", "uint64", 0),
        ("hash", "bytes32", hash_),
    )
    return case("RelayStatement", members)


def commitment() -> dict[str, Any]:
    """Return a blinded key's commitment, its message and signature."""
    key, period, revision = slow.x_only(BLINDED), 20_254, 1_750_000_000
    hash_ = slow.sha256(b"record")
    numbers = period.to_bytes(8, "big") + revision.to_bytes(8, "big")
    message = slow.tagged(b"psp/commitment/1", network() + key + numbers + hash_)
    return {
        "network_id": network().hex(),
        "secret": BLINDED.hex(),
        "blinded_key": key.hex(),
        "period": period,
        "revision": revision,
        "hash": hash_.hex(),
        "message": message.hex(),
        "signature": slow.schnorr_sign(BLINDED, message).hex(),
    }


def nonce_y(signature: bytes) -> int:
    """Return the even y of a signature's nonce point, which the contract asks for."""
    return slow.lift(signature[:32])[1]


def encoded() -> dict[Path, str]:
    """Return every vector file as it must stand in git."""
    common = {
        "description": "chain 31337; the registries are the deployer's first two contracts",
        "deployer_secret": deployer().key.hex(),
        "genesis_hash": GENESIS.hex(),
        "network_id": network().hex(),
        "wallet_secret": WALLET.hex(),
    }
    contents = {
        DELEGATION: {**common, "cases": delegations()},
        REGISTRY: {**common, "cases": requests()},
        COMMITMENT: commitment(),
    }
    return {path: json.dumps(content, indent=1) + "\n" for path, content in contents.items()}


if __name__ == "__main__":
    for path, text in encoded().items():
        path.write_text(text)
