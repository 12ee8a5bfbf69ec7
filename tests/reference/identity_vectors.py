"""The frozen identity vectors, made by the slow implementation.

``python -m tests.reference.identity_vectors`` rewrites them; a test compares them with this code.
"""

import json

from tests.reference import slow_identity as slow

NOW = 1_800_000_000
PERIOD = NOW // 86_400


def fixed(name, size=32):
    """Bytes that look random and are the same for ever."""
    return slow.hashlib.shake_256(b"identity vector " + name.encode()).digest(size)


WALLET, IDENTITY, PEER = fixed("wallet"), fixed("identity"), fixed("peer")
ACCOUNT = slow.account_of(WALLET)
NETWORK = slow.network_id(2, fixed("signer"))
FIELDS = {
    1: ACCOUNT,
    2: slow.x_only(IDENTITY),
    3: NOW,
    4: NOW - 3600,
    5: NOW + 60 * 86_400,
    6: 3,
    7: "a-b",
}


def addresses():
    cases = [slow.account_of(fixed(f"account {n}")) for n in range(8)] + [bytes(20), b"\xff" * 20]
    return [{"raw": raw.hex(), "text": slow.checksum_address(raw)} for raw in cases]


def networks():
    registry, genesis = fixed("registry", 20), fixed("genesis")
    chain = (11_155_111).to_bytes(8) + registry + genesis
    return [
        {"mode": "chain", "chain_id": 11_155_111, "registry": registry.hex(),
         "genesis": genesis.hex(), "network_id": slow.network_id(1, chain).hex()},
        {"mode": "static", "key": fixed("signer").hex(),
         "network_id": slow.network_id(2, fixed("signer")).hex()},
        {"mode": "dht", "key": fixed("admission").hex(),
         "network_id": slow.network_id(3, fixed("admission")).hex()},
    ]  # fmt: skip


def delegations():
    cases = []
    for scope, label in ((1, ""), (2, "laptop"), (3, "a b._-9"), (7, "x" * 32)):
        fields = FIELDS | {6: scope, 7: label}
        digest = slow.delegation_digest(NETWORK, fields)
        cases.append({
            "scope": scope, "label": label, "issued": fields[3], "not_before": fields[4],
            "not_after": fields[5], "identity_key": fields[2].hex(), "account": ACCOUNT.hex(),
            "network_id": NETWORK.hex(), "statement": slow.STATEMENTS[scope],
            "digest": digest.hex(), "signature": slow.ecdsa_sign(WALLET, digest).hex(),
        })  # fmt: skip
    return {"wallet_secret": WALLET.hex(), "cases": cases}


def chains():
    device = {
        1: slow.ed25519_public(fixed("device")),
        2: fixed("agreement"),
        3: NOW,
        4: NOW + 86_400,
    }
    delegation = slow.signed_delegation(NETWORK, WALLET, FIELDS)
    return {
        "identity_secret": IDENTITY.hex(),
        "signing_public": device[1].hex(),
        "agreement_public": device[2].hex(),
        "not_before": NOW,
        "not_after": NOW + 86_400,
        "network_id": NETWORK.hex(),
        "account": ACCOUNT.hex(),
        "chain": slow.credential_chain(delegation, IDENTITY, device).hex(),
    }


def blindings():
    cases = []
    for name in ("identity", "peer", "third"):
        secret = fixed(name)
        for period in (0, 1, PERIOD, 2**64 - 1):
            for contact in (b"", fixed("contact")):
                blinded = slow.blind_secret(secret, period, contact)
                public = slow.blind_public(slow.x_only(secret), period, contact)
                if public != slow.x_only(blinded):
                    raise AssertionError("the two sides of blinding differ")
                message = fixed("message")
                cases.append({
                    "secret": secret.hex(), "public": slow.x_only(secret).hex(), "period": period,
                    "contact_secret": contact.hex(), "blinded": public.hex(),
                    "message": message.hex(),
                    "signature": slow.schnorr_sign(blinded, message).hex(),
                })  # fmt: skip
    return cases


def contacts():
    public, secret = slow.x_only(IDENTITY).hex(), fixed("contact").hex()
    card = f"psp:{slow.checksum_address(ACCOUNT)}?k={public}"
    return {
        "cards": [
            {"account": ACCOUNT.hex(), "identity_key": public, "contact_secret": "", "uri": card},
            {"account": ACCOUNT.hex(), "identity_key": public, "contact_secret": secret,
             "uri": f"{card}&s={secret}"},
        ],
        "refused": [
            {"name": "another scheme", "uri": "tor" + card[3:], "error": "EncodingError"},
            {"name": "no checksum", "uri": card.lower(), "error": "EncodingError"},
            {"name": "wrong checksum", "uri": flip_case(card), "error": "AddressError"},
            {"name": "short key", "uri": card[:-1], "error": "EncodingError"},
            {"name": "upper-case key", "uri": card[:-64] + "A" * 64, "error": "EncodingError"},
            {"name": "key that is no point", "uri": card[:-64] + "f" * 64,
             "error": "KeyMaterialError"},
            {"name": "short secret", "uri": f"{card}&s={secret[:-2]}", "error": "EncodingError"},
            {"name": "empty secret", "uri": f"{card}&s=", "error": "EncodingError"},
            {"name": "unknown parameter", "uri": f"{card}&x=1", "error": "EncodingError"},
            {"name": "line end behind it", "uri": card + "\n", "error": "EncodingError"},
        ],
        "pairs": [
            {"own": own.hex(), "peer": slow.x_only(peer).hex(),
             "secret": slow.pair_secret(own, slow.x_only(peer)).hex()}
            for own, peer in ((IDENTITY, PEER), (PEER, IDENTITY), (fixed("third"), PEER))
        ],
    }  # fmt: skip


def flip_case(card):
    """Change the case of the first letter in the card's address."""
    at = next(i for i, c in enumerate(card) if i > 6 and c.isalpha())
    return card[:at] + card[at].swapcase() + card[at + 1 :]


def descriptor_body():
    points = [[fixed(f"relay {n}"), fixed(f"auth {n}"), n % 2] for n in range(4)]
    return {
        1: [[fixed("hk 0", 1216), NOW + 3600], [fixed("hk 1", 1216), NOW + 7200]],
        2: points,
        3: points[:1],
        4: [1, 5],
        5: [1, 2],
        6: [77, fixed("root")],
    }


def descriptors():
    delegation = slow.signed_delegation(NETWORK, WALLET, FIELDS)
    body, salt = slow.cbor(descriptor_body()), fixed("salt")
    body_key, filler = fixed("body key"), [fixed(f"filler {n}", 56) for n in range(14)]
    clients = [fixed("client 0"), fixed("client 1")]
    sealed = slow.seal(slow.hkdf(salt, body_key, b"psp/client-auth-body/1"), body)
    open_document = slow.cbor({1: delegation, 2: body})
    entries = slow.authorise(clients, body_key, salt, filler)
    closed_document = slow.cbor({1: delegation, 3: entries, 4: sealed})
    cases = []
    for name, contact, keys, document in (
        ("listed", b"", [], open_document),
        ("card", fixed("contact"), [], open_document),
        ("contacts", fixed("contact"), clients, closed_document),
    ):
        made = slow.record(
            NETWORK, IDENTITY, ACCOUNT, fixed("descriptor key"), PERIOD, NOW + 5, NOW + 7200, salt,
            contact, document,
        )  # fmt: skip
        cases.append({
            "name": name, "contact_secret": contact.hex(), "client_keys": [k.hex() for k in keys],
            "entropy": {"salt": salt.hex(), "body_key": body_key.hex(),
                        "filler": [f.hex() for f in filler]},
            "record": made.hex(),
        })  # fmt: skip
    return {
        "network_id": NETWORK.hex(), "account": ACCOUNT.hex(), "identity_secret": IDENTITY.hex(),
        "descriptor_seed": fixed("descriptor key").hex(), "period": PERIOD, "now": NOW,
        "revision": NOW + 5, "expiry": NOW + 7200, "delegation": slow.cbor(delegation).hex(),
        "body": body.hex(), "cases": cases,
    }  # fmt: skip


def canonical():
    values = [
        0,
        23,
        24,
        255,
        256,
        65_535,
        65_536,
        2**32 - 1,
        2**32,
        2**64 - 1,
        -1,
        -24,
        -25,
        -(2**64),
    ]
    good = [{"name": f"integer {value}", "hex": slow.cbor(value).hex()} for value in values]
    good += [
        {
            "name": "map, positive keys before negative",
            "hex": slow.cbor({-1: 1, 24: 2, 0: 3}).hex(),
        },
        {"name": "nested", "hex": slow.cbor({1: [True, False, {2: "ä"}], 3: b"\0"}).hex()},
    ]
    bad = {
        "a number in two bytes that fits one": "1817",
        "a length in two bytes that fits one": "580161",
        "keys out of order": "a202000100",
        "a negative key before a positive one": "a220000100",
        "a key twice": "a201000100",
        "a text key": "a1616100",
        "a tag": "c100",
        "a regular expression behind a tag": "d8234161",
        "a big number": "c249010000000000000000",
        "a float": "f93c00",
        "null": "f6",
        "undefined": "f7",
        "a simple value": "f820",
        "an array without length": "9fff",
        "text without length": "7fff",
        "a break alone": "ff",
        "a reserved length": "1c",
        "nothing": "",
        "two values": "0000",
        "bytes that end early": "42ff",
        "an array longer than the document": "9bffffffffffffffff",
        "text that is no UTF-8": "61ff",
        "half a surrogate pair": "63eda080",
        "nine levels": "81" * 8 + "00",
    }
    refused = [{"name": n, "hex": h, "error": "EncodingError"} for n, h in bad.items()]
    return {"accepted": good, "refused": refused}


FILES = {
    "identity-address": addresses,
    "identity-network": networks,
    "identity-delegation": delegations,
    "identity-device": chains,
    "identity-blinding": blindings,
    "identity-contact": contacts,
    "identity-descriptor": descriptors,
    "identity-canonical": canonical,
}


def main():
    for name, make in FILES.items():
        path = slow.VECTORS / f"{name}.json"
        path.write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
