"""Tokens for other services: others' libraries verify them, nobody forges them, keys rotate."""

import base64
import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from peerstream.identity.login.errors import LoginSettingsError, TokenRefusedError
from tests.identity.login.world import NOW, ORIGIN, World, code, make_store
from tests.identity.samples import fixed

P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture(params=["memory", "sqlite"])
def world(request, tmp_path):
    return World(make_store(request.param, tmp_path))


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def parts(token):
    return [json.loads(unb64(part)) for part in token.split(".")[:2]]


def forge(header, claims, signature=b""):
    return ".".join(
        [b64(json.dumps(header).encode()), b64(json.dumps(claims).encode()), b64(signature)]
    )


def refused(world, token):
    answer = world.browser().http.get("/hello", headers={"authorization": f"Bearer {token}"})
    return code(answer) == "invalid-token"


def test_another_implementation_verifies_them_with_the_published_keys(world):
    token = world.browser().sign_in().json()["token"]
    header, claims = parts(token)
    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": header["kid"]}
    answer = world.browser().http.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    [jwk] = [key for key in answer.json()["keys"] if key["kid"] == header["kid"]]
    assert "d" not in jwk
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(unb64(jwk["x"])), int.from_bytes(unb64(jwk["y"])), ec.SECP256R1()
    )
    signed, _, signature = token.rpartition(".")
    raw = unb64(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    numbers.public_key().verify(der, signed.encode(), ec.ECDSA(SHA256()))
    assert claims["iss"] == claims["aud"] == ORIGIN
    assert claims["sub"].startswith("eip155:1:0x")
    assert claims["exp"] - claims["iat"] == 900


def test_no_other_algorithm_and_no_other_key_passes(world):
    token = world.browser().sign_in().json()["token"]
    header, claims = parts(token)
    jwk = world.auth.service.public_keys()["keys"][0]
    public = ECKey.import_key(jwk).as_pem(private=False)
    own = ECKey.generate_key("P-256")
    forged = [
        forge({**header, "alg": "none"}, claims),
        forge({**header, "alg": "None"}, claims),
        token.rpartition(".")[0] + ".",
        *hs256(header, claims, public),
        *hs256(header, claims, json.dumps(jwk).encode()),
        jwt.encode(header, claims, own, algorithms=["ES256"]),
        jwt.encode(
            {**header, "jwk": own.as_dict(private=False)}, claims, own, algorithms=["ES256"]
        ),
        jwt.encode({**header, "kid": own.thumbprint()}, claims, own, algorithms=["ES256"]),
        jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(b"k" * 32), algorithms=["HS256"]),
        token + "a",
        token[:-2],
        "a.b.c",
        "....",
        "a" * 5_000,
        b64(b"{}") * 2,
    ]
    for attempt in forged:
        assert refused(world, attempt), attempt
    assert (
        world.browser().http.get("/hello", headers={"authorization": f"bearer {token}"}).is_success
    )


def hs256(header, claims, secret):
    body = forge({**header, "alg": "HS256"}, claims).rpartition(".")[0]
    for key in (secret, secret.strip()):
        yield body + "." + b64(hmac.new(key, body.encode(), hashlib.sha256).digest())


def test_the_twin_of_a_signature_opens_nothing_new(world):
    """ECDSA has two signatures for one; both say the same and neither is a key to anything."""
    token = world.browser().sign_in().json()["token"]
    signed, _, signature = token.rpartition(".")
    raw = unb64(signature)
    twin = raw[:32] + (P256 - int.from_bytes(raw[32:])).to_bytes(32)
    claims = world.auth.service._keys.verify(f"{signed}.{b64(twin)}", NOW)
    assert claims == world.auth.service._keys.verify(token, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://evil.example"},
        {"aud": "https://evil.example"},
        {"exp": NOW},
        {"iat": NOW + 61},
        {"aud": [ORIGIN]},
    ],
)
def test_a_token_of_our_key_for_something_else_is_refused(world, change):
    keys = world.auth.service._keys
    token = world.browser().sign_in().json()["token"]
    header, claims = parts(token)
    loaded = keys._keys(NOW)[0]
    other = jwt.encode(header, {**claims, **change}, loaded.key, algorithms=["ES256"])
    with pytest.raises(TokenRefusedError):
        keys.verify(other, NOW)
    other_type = jwt.encode({**header, "typ": "JWT"}, claims, loaded.key, algorithms=["ES256"])
    with pytest.raises(TokenRefusedError):
        keys.verify(other_type, NOW)


@pytest.mark.parametrize(
    "claims", [{"sid": 5}, {"sid": None}, {"iat": "a"}, {"exp": None}, {"iat": None}]
)
def test_a_token_of_our_key_whose_claims_are_of_another_type(world, claims):
    token = world.browser().sign_in().json()["token"]
    header, signed = parts(token)
    loaded = world.auth.service._keys._keys(NOW)[0]
    assert refused(
        world, jwt.encode(header, {**signed, **claims}, loaded.key, algorithms=["ES256"])
    )


def test_a_token_is_over_after_a_quarter_of_an_hour(world):
    token = world.browser().sign_in().json()["token"]
    world.clock.now += 899
    assert (
        world.browser().http.get("/hello", headers={"authorization": f"Bearer {token}"}).is_success
    )
    world.clock.now += 1
    assert refused(world, token)


def test_keys_rotate_without_a_gap(world):
    """Half a year of logins: a key is published before it signs, until its tokens are over."""
    service, day = world.auth.service, 86_400
    published, seen, tokens = {}, set(), []
    for _ in range(130):
        kids = {key["kid"] for key in service.public_keys()["keys"]}
        for kid in kids:
            published.setdefault(kid, world.clock.now)
        token = service._keys.sign("eip155:1:0x00", "a", world.clock.now)
        kid = parts(token)[0]["kid"]
        assert kid in kids
        if seen and kid not in seen:
            assert world.clock.now - published[kid] >= day
        seen.add(kid)
        tokens.append((world.clock.now, token))
        world.clock.now += 60
        assert service._keys.verify(token, world.clock.now)
        assert len(kids) <= 2
        world.clock.now += 3 * day // 2
    assert len(seen) >= 6
    assert len({key.public for key in world.store.keys(world.clock.now)}) <= 2
    world.store.sweep(world.clock.now, 100)
    assert len(world.store.keys(0)) <= 2


def test_replicas_agree_on_the_keys(tmp_path):
    store = make_store("sqlite", tmp_path)
    worlds = [World(store, entropy=None) for _ in range(4)]
    for world in worlds:
        world.clock = worlds[0].clock
    sets = [world.auth.service.public_keys() for world in worlds]
    assert all(keys == sets[0] for keys in sets)


def test_another_secret_does_not_open_the_database(tmp_path):
    store = make_store("sqlite", tmp_path)
    World(store).auth.service.public_keys()
    with pytest.raises(LoginSettingsError):
        World(store, secret=fixed("another")).auth.service.public_keys()


def test_a_changed_seal_does_not_open(world):
    keys = world.auth.service._secrets
    sealed = keys.seal(b"secret", fixed_entropy)
    assert keys.open(sealed) == b"secret"
    assert b"secret" not in sealed
    for changed in (sealed[:-1], sealed[:5], b"", bytes([sealed[0] ^ 1]) + sealed[1:]):
        with pytest.raises(LoginSettingsError):
            keys.open(changed)


def fixed_entropy(size):
    return fixed("seal", size)
