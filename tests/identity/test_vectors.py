"""The package against published vectors and against a slow second implementation."""

import json

import pytest

from peerstream.identity import (
    Address,
    Audience,
    ContactCard,
    CredentialChain,
    Delegation,
    DelegationChecks,
    DescriptorKey,
    IdentityKey,
    LocalSigner,
    Record,
    RecordRules,
    Scope,
    blind_public,
    blind_secret,
    canonical,
    errors,
    network,
    open_descriptor,
    seal_descriptor,
)
from peerstream.identity.contact import pair_secret
from peerstream.identity.descriptor.authorisation import derive_key
from peerstream.identity.descriptor.contents import BODY_KNOWN, DescriptorContents
from peerstream.identity.keys import verify_schnorr
from tests.identity.samples import vectors
from tests.reference import identity_vectors, slow_identity

unhex = bytes.fromhex


def named(cases, key="name"):
    return [pytest.param(case, id=str(case[key])) for case in cases]


@pytest.mark.parametrize("name", identity_vectors.FILES)
def test_the_slow_implementation_still_makes_the_frozen_vectors(name):
    made = json.loads(json.dumps(identity_vectors.FILES[name]()))
    assert made == vectors(name.removeprefix("identity-"))


@pytest.mark.parametrize("case", named(vectors("bip340")["cases"], "index"))
def test_bip340(case):
    public, message, signature = (unhex(case[k]) for k in ("public_key", "message", "signature"))
    if case["valid"]:
        verify_schnorr(public, message, signature)
    else:
        with pytest.raises((errors.BadSignatureError, errors.KeyMaterialError)):
            verify_schnorr(public, message, signature)
    assert slow_identity.schnorr_verify(public, message, signature) == case["valid"]
    if case["secret_key"]:
        made = slow_identity.schnorr_sign(
            unhex(case["secret_key"]), message, unhex(case["aux_rand"])
        )
        assert made == signature
        assert IdentityKey.from_bytes(unhex(case["secret_key"])).public == public


def test_an_identity_key_signs_as_bip340_with_zeros_for_auxiliary_randomness():
    case = vectors("bip340")["cases"][0]
    key = IdentityKey.from_bytes(unhex(case["secret_key"]))
    assert key.sign(unhex(case["message"])).hex() == case["signature"]


@pytest.mark.parametrize("case", named(vectors("hkdf")["cases"]))
def test_hkdf(case):
    salt, secret, info = (unhex(case[k]) for k in ("salt", "ikm", "info"))
    assert derive_key(salt, secret, info).hex() == case["okm"][:64]
    size = len(unhex(case["okm"]))
    assert slow_identity.hkdf(salt, secret, info, size)[:size].hex() == case["okm"]


@pytest.mark.parametrize("case", vectors("address"))
def test_address(case):
    assert str(Address(unhex(case["raw"]))) == case["text"]
    assert Address.parse(case["text"]).raw.hex() == case["raw"]


@pytest.mark.parametrize("case", named(vectors("network"), "mode"))
def test_network(case):
    if case["mode"] == "chain":
        registry = Address(unhex(case["registry"]))
        made = network.chain_network_id(case["chain_id"], registry, unhex(case["genesis"]))
    else:
        make = {"static": network.static_network_id, "dht": network.dht_network_id}[case["mode"]]
        made = make(unhex(case["key"]))
    assert made.hex() == case["network_id"]


@pytest.mark.parametrize("case", named(vectors("delegation")["cases"], "scope"))
def test_delegation(case):
    wallet = LocalSigner(unhex(vectors("delegation")["wallet_secret"]))
    made = Delegation(
        account=Address(unhex(case["account"])),
        identity_key=unhex(case["identity_key"]),
        issued=case["issued"],
        not_before=case["not_before"],
        not_after=case["not_after"],
        scope=Scope(case["scope"]),
        label=case["label"],
    )
    network_id = unhex(case["network_id"])
    assert made.digest(network_id).hex() == case["digest"]
    assert made.typed_data(network_id)["message"]["statement"] == case["statement"]
    assert made.sign(wallet, network_id).signature.hex() == case["signature"]


def test_credential_chain():
    case = vectors("device")
    chain = CredentialChain.decode(unhex(case["chain"]))
    assert chain.encode().hex() == case["chain"]
    device = chain.verify(
        network_id=unhex(case["network_id"]), now=case["not_before"], required_scope=Scope.DIAL
    )
    assert device.account.raw.hex() == case["account"]
    assert device.signing_public.hex() == case["signing_public"]
    assert device.agreement_public.hex() == case["agreement_public"]
    assert device.not_after == case["not_after"]


@pytest.mark.parametrize("case", vectors("blinding"))
def test_blinding(case):
    key, contact_secret = (
        IdentityKey.from_bytes(unhex(case["secret"])),
        unhex(case["contact_secret"]),
    )
    blinded = blind_secret(key, case["period"], contact_secret)
    assert key.public.hex() == case["public"]
    assert blinded.public.hex() == case["blinded"]
    assert blind_public(key.public, case["period"], contact_secret) == blinded.public
    assert blinded.sign(unhex(case["message"])).hex() == case["signature"]


@pytest.mark.parametrize("case", vectors("contact")["cards"])
def test_card(case):
    card = ContactCard.parse(case["uri"])
    assert str(card) == case["uri"]
    assert card.account.raw.hex() == case["account"]
    assert card.identity_key.hex() == case["identity_key"]
    assert card.contact_secret.hex() == case["contact_secret"]


@pytest.mark.parametrize("case", named(vectors("contact")["refused"]))
def test_refused_card(case):
    with pytest.raises(getattr(errors, case["error"])):
        ContactCard.parse(case["uri"])


@pytest.mark.parametrize("case", vectors("contact")["pairs"])
def test_pair_secret(case):
    own = IdentityKey.from_bytes(unhex(case["own"]))
    assert pair_secret(own, unhex(case["peer"])).hex() == case["secret"]


@pytest.mark.parametrize("case", named(vectors("canonical")["accepted"]))
def test_canonical(case):
    data = unhex(case["hex"])
    assert canonical.encode(canonical.decode(data, max_size=64)) == data


@pytest.mark.parametrize("case", named(vectors("canonical")["refused"]))
def test_refused_encoding(case):
    with pytest.raises(getattr(errors, case["error"])):
        canonical.decode(unhex(case["hex"]), max_size=64)


@pytest.mark.parametrize("case", named(vectors("descriptor")["cases"]))
def test_descriptor_opens(case):
    common = vectors("descriptor")
    contact_secret = unhex(case["contact_secret"])
    key = IdentityKey.from_bytes(unhex(common["identity_secret"]))
    network_id, account = unhex(common["network_id"]), Address(unhex(common["account"]))
    record = Record.parse(unhex(case["record"])).verify(
        now=common["now"],
        rules=RecordRules(network_id=network_id),
        blinded=blind_public(key.public, common["period"], contact_secret),
    )
    checks = DelegationChecks(network_id=network_id, now=common["now"], required_scope=Scope.ACCEPT)
    for client_key in [unhex(k) for k in case["client_keys"]] or [None]:
        opened = open_descriptor(
            record, key.public, account, contact_secret, client_key=client_key, checks=checks
        )
        assert opened == expected_contents(common)


@pytest.mark.parametrize("case", named(vectors("descriptor")["cases"]))
def test_descriptor_seals(case):
    common, drawn = vectors("descriptor"), case["entropy"]
    secrets = Audience(unhex(case["contact_secret"]), [unhex(k) for k in case["client_keys"]])
    identity = IdentityKey.from_bytes(unhex(common["identity_secret"]))
    blinded = blind_secret(identity, common["period"], secrets.contact_secret)
    seed = unhex(common["descriptor_seed"])
    draws = iter(unhex(d) for d in (drawn["salt"], drawn["body_key"], *drawn["filler"]))
    made = seal_descriptor(
        expected_contents(common),
        DescriptorKey(blinded, unhex(common["network_id"]), lambda _size: seed),
        revision=common["revision"],
        expiry=common["expiry"],
        audience=secrets,
        entropy=lambda _size: next(draws),
    )
    assert made.hex() == case["record"]


def expected_contents(common):
    chain = CredentialChain.decode(unhex(vectors("device")["chain"]))
    assert canonical.encode(chain.delegation.to_fields()).hex() == common["delegation"]
    body = canonical.decode_fields(unhex(common["body"]), known=BODY_KNOWN, max_size=8_192)
    return DescriptorContents.from_fields(chain.delegation, body)


@pytest.mark.parametrize(
    "make",
    [
        lambda: network.static_network_id(bytes(31)),
        lambda: network.dht_network_id(b""),
        lambda: network.chain_network_id(0, Address(bytes(20)), bytes(32)),
        lambda: network.chain_network_id(2**64, Address(bytes(20)), bytes(32)),
        lambda: network.chain_network_id(1, Address(bytes(20)), bytes(31)),
    ],
)
def test_no_network_has_another_origin(make):
    with pytest.raises(errors.KeyMaterialError):
        make()
