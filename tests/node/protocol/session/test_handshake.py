"""PSP-E2E-1 between real keys: what both learn, and every way to be refused, by name."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.onion.kem import Encapsulation, KemPrivateKey, KemPublicKey
from peerstream.node.protocol.onion.replay import ReplayFilter
from peerstream.node.protocol.session import errors
from peerstream.node.protocol.session.handshake import (
    CallAnswer,
    CallerIdentity,
    ResumeSession,
    admit,
)
from peerstream.node.protocol.wire.status import Status
from peerstream.node.protocol.wire.tlv import UnknownCriticalError
from tests.node.protocol.session import calls
from tests.reference import slow_session as slow

VECTORS = Path(__file__).parents[3] / "vectors" / "session-handshake.json"


def same(one, other):
    return (one.chains, one.session_id, one.resume_key, one.caller_proof) == (
        other.chains, other.session_id, other.resume_key, other.caller_proof,
    )  # fmt: skip


def test_an_anonymous_call_agrees_on_all_secrets():
    caller = calls.call(early=b"GET /", service="web")
    opened = calls.opened(caller.message1())
    assert opened.claim is None
    assert opened.request == calls.request(early=b"GET /", service="web")
    assert admit(opened, calls.policy()) == b"GET /"
    answer = CallAnswer(
        7, 100_000, early_accepted=True, early_response=b"200", tickets=(b"t" * 48,)
    )
    reply = opened.accept(answer, calls.entropy(2))
    assert len(reply.message2) == 2_048
    accepted = caller.finish(reply.message2)
    assert accepted.answer == answer
    assert same(accepted.secrets, reply.secrets)
    assert accepted.secrets.caller_proof is None


def test_a_named_call_is_verified_and_proved():
    caller = calls.call(calls.named(), service="friends")
    opened = calls.opened(caller.message1())
    with pytest.raises(LocalProtocolError):
        admit(opened, calls.policy())
    with pytest.raises(LocalProtocolError):
        opened.accept(calls.ANSWER, calls.entropy(2))
    device = opened.verify_caller(calls.checks())
    assert device.account == calls.ACCOUNT
    assert admit(opened, calls.policy()) == b""
    reply = opened.accept(calls.ANSWER, calls.entropy(2))
    accepted = caller.finish(reply.message2)
    assert same(accepted.secrets, reply.secrets)
    assert len(accepted.secrets.caller_proof) == 32
    with pytest.raises(LocalProtocolError):
        opened.accept(calls.ANSWER, calls.entropy(3))


def test_a_long_answer_takes_the_large_message():
    caller = calls.call(early=b"x", service="web")
    opened = calls.opened(caller.message1())
    answer = CallAnswer(1, 1, early_accepted=True, early_response=bytes(range(256)) * 20)
    reply = opened.accept(answer, calls.entropy(2))
    assert len(reply.message2) == 9_184
    assert caller.finish(reply.message2).answer == answer


def test_early_data_only_for_services_that_take_it():
    opened = calls.opened(calls.call(early=b"POST", service="files").message1())
    assert admit(opened, calls.policy()) == b""


@pytest.mark.parametrize(
    ("changes", "error", "status"),
    [
        ({"level": 1}, errors.DowngradeError, Status.LEVEL),
        ({"epoch": calls.EPOCH + 2}, errors.UnknownEpochError, Status.EXPIRED),
        ({"epoch": calls.EPOCH - 2}, errors.UnknownEpochError, Status.EXPIRED),
        ({"root": b"\x99" * 32}, errors.ViewMismatchError, Status.VIEW_MISMATCH),
        ({"epoch": calls.EPOCH + 1}, errors.ViewMismatchError, Status.VIEW_MISMATCH),
        ({"relay_id": b"\x98" * 32}, errors.UnknownRendezvousError, Status.NO_ROUTE),
        ({"service": "gopher"}, errors.UnknownServiceError, Status.NO_SERVICE),
        ({"service": "friends"}, errors.CallerRequiredError, Status.AUTH_REQUIRED),
    ],
)
def test_each_refusal_has_a_name_and_reaches_the_caller(changes, error, status):
    caller = calls.call(**changes)
    opened = calls.opened(caller.message1())
    with pytest.raises(error) as refused:
        admit(opened, calls.policy())
    assert refused.value.status is status
    reply = opened.refuse(status, calls.entropy(2))
    assert reply.secrets is None
    assert len(reply.message2) == 2_048
    with pytest.raises(errors.CallRefusedError) as heard:
        caller.finish(reply.message2)
    assert heard.value.refusal is status


def test_a_neighbouring_epoch_and_an_admitted_relay_pass():
    opened = calls.opened(calls.call(epoch=calls.EPOCH - 1, root=b"\x21" * 32).message1())
    admit(opened, calls.policy())
    strange = {"relay_id": b"\x98" * 32, "rendezvous_descriptor": b"signed"}
    views = calls.StaticViews(admitted=[(b"\x98" * 32, b"signed")])
    admit(calls.opened(calls.call(**strange).message1()), calls.policy(views=views))


@pytest.mark.parametrize("shift", [-2, 2, 1_000])
def test_a_wrong_bucket_is_met_with_silence(shift):
    message = calls.call(bucket=calls.WALL // 600 + shift).message1()
    with pytest.raises(errors.WrongBucketError):
        calls.opened(message)


def test_a_replay_is_refused_even_after_a_restart():
    replay = ReplayFilter()
    message = calls.call().message1()
    record = calls.opened(message, replay=replay).record
    with pytest.raises(errors.ReplayedMessageError):
        calls.opened(message, replay=replay)
    restarted = ReplayFilter()
    restarted.load(record.bucket, [record.tag])
    with pytest.raises(errors.ReplayedMessageError):
        calls.opened(message, replay=restarted)


def test_a_replay_at_another_introduction_point_does_not_open():
    elsewhere = calls.callee(auth_public=b"\x34" * 32)
    keys = calls.published(calls.callee(), elsewhere)
    message = calls.call().message1()
    with pytest.raises(errors.UnknownHandshakeKeyError):
        calls.opened(message, keys=keys, auth=b"\x34" * 32)
    renamed = message[:4] + elsewhere.key_id + message[12:]
    with pytest.raises(errors.BadMessageError):
        calls.opened(renamed, keys=keys, auth=b"\x34" * 32)


@pytest.mark.parametrize(
    "difference",
    [
        {"network_id": bytes(32)},
        {"account": bytes(20)},
    ],
)
def test_another_network_or_account_does_not_open(difference):
    message = calls.call(to=calls.callee(**difference)).message1()
    with pytest.raises(errors.BadMessageError):
        calls.opened(message)


@pytest.mark.parametrize("difference", [{"period": 1}, {"blinded_key": bytes(32)}])
def test_another_period_or_blinded_key_is_an_unknown_key(difference):
    message = calls.call(to=calls.callee(**difference)).message1()
    with pytest.raises(errors.UnknownHandshakeKeyError):
        calls.opened(message)


def test_an_impostor_with_another_key_cannot_open_or_answer():
    caller = calls.call()
    impostor = KemPrivateKey.from_seed(b"\x01" * 32)
    keys = {calls.callee().key_id: calls.published(calls.callee(), private=impostor).popitem()[1]}
    with pytest.raises(errors.BadMessageError):
        calls.opened(caller.message1(), keys=keys)
    other = calls.opened(calls.call(seed=5).message1())
    with pytest.raises(errors.BadMessageError):
        caller.finish(other.accept(calls.ANSWER, calls.entropy(3)).message2)


def test_a_caller_that_shows_a_stolen_chain_fails():
    _, device, _ = calls.credentials("thief")
    opened = calls.opened(calls.call(CallerIdentity(calls.CHAIN, device)).message1())
    with pytest.raises(errors.BadCallerProofError):
        opened.verify_caller(calls.checks())


def test_certificates_that_do_not_verify_are_named():
    opened = calls.opened(calls.call(calls.named()).message1())
    with pytest.raises(errors.CallerRevokedError):
        opened.verify_caller(calls.checks(revoked_before=lambda _: calls.WALL))
    with pytest.raises(errors.CallerCredentialsError):
        opened.verify_caller(calls.checks(now=calls.WALL + 10**7))
    with pytest.raises(LocalProtocolError):
        opened.verify_caller(calls.checks(network_id=bytes(32)))
    foreign, device, _ = calls.credentials(network_id=bytes(32))
    opened = calls.opened(calls.call(CallerIdentity(foreign, device)).message1())
    with pytest.raises(errors.CallerCredentialsError):
        opened.verify_caller(calls.checks())
    opened = calls.opened(calls.call(CallerIdentity(b"\x00" * 99, device)).message1())
    with pytest.raises(errors.CallerCredentialsError):
        opened.verify_caller(calls.checks())


def test_resume_needs_the_key_of_the_session():
    key = b"\x0a" * 32
    caller = calls.call(resume=ResumeSession(b"s" * 16, key, 24))
    opened = calls.opened(caller.message1())
    assert (opened.resume.session_id, opened.resume.first_path) == (b"s" * 16, 24)
    with pytest.raises(LocalProtocolError):
        opened.accept(calls.ANSWER, calls.entropy(2))
    with pytest.raises(errors.ResumeRefusedError):
        opened.verify_resume(bytes(32))
    opened.verify_resume(key)
    reply = opened.accept(calls.ANSWER, calls.entropy(2))
    accepted = caller.finish(reply.message2)
    assert same(accepted.secrets, reply.secrets)
    assert accepted.secrets.first_path == reply.secrets.first_path == 24


@given(st.integers(0, 9_183), st.integers(0, 7))
def test_any_flipped_bit_of_message_1_is_refused_by_name(where, bit):
    message = bytearray(MESSAGE_1)
    message[where] ^= 1 << bit
    with pytest.raises(errors.HandshakeError):
        calls.opened(bytes(message))


@given(st.integers(0, 2_047), st.integers(0, 7))
def test_any_flipped_bit_of_message_2_is_refused_by_name(where, bit):
    message = bytearray(MESSAGE_2)
    message[where] ^= 1 << bit
    with pytest.raises(errors.HandshakeError):
        CALLER.finish(bytes(message))


@given(st.one_of(st.binary(max_size=200), st.binary(min_size=64, max_size=64)))
def test_arbitrary_messages_are_refused_by_name(data):
    for size in (len(data), 9_184):
        with pytest.raises(errors.HandshakeError):
            calls.opened(data.ljust(size, b"\x01"))
    for size in (len(data), 2_048, 9_184):
        with pytest.raises(errors.HandshakeError):
            CALLER.finish(data.ljust(size, b"\x01"))


CALLER = calls.call()
MESSAGE_1 = CALLER.message1()
MESSAGE_2 = calls.opened(MESSAGE_1).accept(calls.ANSWER, calls.entropy(2)).message2


def test_the_slow_reference_follows_a_live_handshake():
    resume = ResumeSession(b"s" * 16, b"\x0a" * 32, 24)
    for identity, old in ((None, None), (calls.named(), None), (None, resume)):
        caller = calls.call(identity, seed=8, resume=old, early=b"hi", service="web")
        opened = calls.opened(caller.message1())
        if identity is not None:
            opened.verify_caller(calls.checks())
        if old is not None:
            opened.verify_resume(old.resume_key)
        reply = opened.accept(calls.ANSWER, calls.entropy(2))
        follow(caller, reply, identity, old)


def follow(caller, reply, identity, old):
    """Derive everything from the private keys alone and compare."""
    key = slow.HandshakeKey(b"\x77" * 32)
    where = (b"\x55" * 32, 20_000, calls.AUTH)
    h0 = slow.start(key, calls.NETWORK, b"\x44" * 20, *where)
    message = caller.message1()
    assert message[:12] == b"\x01\x01\x00\x00" + slow.key_id(key, *where)
    first = slow.read_message1(key, h0, message)
    asked = [first[name] for name in ("rp_id", "cookie", "epoch", "root", "level", "class")]
    assert asked == [calls.RELAY, b"\x66" * 32, calls.EPOCH, calls.ROOT, 2, 2]
    assert (first["bucket"], first["flags"], first["reserved"]) == (calls.WALL // 600, 0, bytes(8))
    assert (first["fields"][4], first["fields"][5]) == (b"web", b"hi")
    second = slow.read_message2(
        first, caller._ephemeral.private_bytes_raw(), calls.entropy(8)(64), reply.message2
    )
    assert second["fields"][1] == bytes.fromhex("000000800004000000")
    chains, session_id, resume_key = slow.secrets(second["ck2"], second["h"])
    if identity is not None:
        agreed = calls.DEVICE.agree(key.x_public)
        early = slow.mac(first["ck1"], agreed, b"psp/auth0/1", first["after_header"], calls.CHAIN)
        assert first["fields"][2] == calls.CHAIN + early
        agreed = calls.DEVICE.agree(second["y"])
        late = slow.mac(second["ck2"], agreed, b"psp/auth/1", second["h"], calls.CHAIN)
        assert reply.secrets.caller_proof == late
    if old is not None:
        chains = slow.resumed(second["ck2"], old.resume_key)
        proof = slow.resume_mac(old.resume_key, first["after_header"], 24)
        assert first["fields"][7] == b"s" * 16 + (24).to_bytes(4, "big") + proof
    assert list(reply.secrets.chains) == chains
    assert (reply.secrets.session_id, reply.secrets.resume_key) == (session_id, resume_key)


def load_vectors():
    return json.loads(VECTORS.read_text())


@pytest.mark.parametrize("vector", load_vectors()["handshakes"], ids=lambda v: v["name"])
def test_frozen_handshakes(vector, monkeypatch):
    data = {key: bytes.fromhex(value) for key, value in vector["hex"].items()}
    opened = calls.opened(data["message1"])
    assert opened.request == calls.request(**vector["request"], early=data["early"])
    keep_caller_keys(monkeypatch, data)
    caller = calls.call(None, seed=vector["seed"], **vector["request"], early=data["early"])
    assert caller.message1() == data["message1"]
    secrets = caller.finish(data["message2"]).secrets
    assert [*secrets.chains, secrets.session_id, secrets.resume_key] == [
        data["chain0"], data["chain1"], data["session_id"], data["resume_key"],
    ]  # fmt: skip


@pytest.mark.parametrize("vector", load_vectors()["refused"]["cases"], ids=lambda v: v["name"])
def test_frozen_refusals(vector):
    message = bytearray.fromhex(load_vectors()["refused"]["message1"])
    for where, change in vector["put"]:
        message[where : where + len(change) // 2] = bytes.fromhex(change)
    with pytest.raises((errors.HandshakeError, UnknownCriticalError)) as refused:
        calls.opened(bytes(message[: vector["size"]]))
    assert type(refused.value).__name__ == vector["error"]


def keep_caller_keys(monkeypatch, data):
    """The library draws the randomness of a KEM itself: give the frozen result instead."""
    private = slow.X25519PrivateKey.from_private_bytes(data["ephemeral"])
    frozen = Encapsulation(data["message1"][12:1132], data["shared"], private)
    monkeypatch.setattr(KemPublicKey, "encapsulate", lambda _: frozen)
