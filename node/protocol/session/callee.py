"""The called side of the handshake PSP-E2E-1, in two halves (SPEC 5.2).

`open_message1` gives an OpenedCall: the callee reads who calls, for what, at which level and by
which view of the relay set, decides, and only then makes message 2. Nothing is spent on strangers
beyond one decapsulation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peerstream.identity import labels
from peerstream.identity.delegation import DelegationChecks
from peerstream.identity.device import CredentialChain, VerifiedDevice
from peerstream.identity.errors import IdentityError, RevokedError
from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.onion.errors import (
    KemError,
    SetupExpiredError,
    SetupReplayedError,
)
from peerstream.node.protocol.onion.kem import KemPrivateKey, agree
from peerstream.node.protocol.onion.replay import ReplayFilter, ReplayRecord
from peerstream.node.protocol.session.caller import NONCE, resume_proof
from peerstream.node.protocol.session.errors import (
    BadCallerProofError,
    BadMessageError,
    CallerCredentialsError,
    CallerRevokedError,
    MalformedMessageError,
    ReplayedMessageError,
    ResumeRefusedError,
    SuiteError,
    UnknownHandshakeKeyError,
    WrongBucketError,
)
from peerstream.node.protocol.session.messages import (
    HEADER_1_SIZE,
    POINT_SIZE,
    SUITE,
    VERSION,
    CallAnswer,
    CallerClaim,
    CallRequest,
    Header1,
    Payload1,
    ResumeClaim,
    decode_header1,
    decode_payload1,
    encode_payload2,
)
from peerstream.node.protocol.session.proof import caller_proof, early_proof, equal_proofs
from peerstream.node.protocol.session.schedule import (
    SessionSecrets,
    derive,
    resumed_secrets,
    session_secrets,
)
from peerstream.node.protocol.session.transcript import Callee, mix
from peerstream.node.protocol.wire.status import Status

_REPLAY_TAG_SIZE = 16


@dataclass(frozen=True, slots=True)
class HandshakeKey:
    """A published handshake key at one introduction point."""

    callee: Callee
    private: KemPrivateKey


@dataclass(frozen=True, slots=True, repr=False)
class _Half:
    """Keys and hashes between the two messages."""

    chaining_key: bytes
    after_header: bytes
    transcript: bytes
    ephemeral_public: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Message 2, and the secrets of the session unless it is a refusal."""

    message2: bytes
    secrets: SessionSecrets | None


class OpenedCall:
    """A call that opened: readable, answerable once, and nothing spent on it yet."""

    def __init__(
        self, key: HandshakeKey, payload: Payload1, half: _Half, record: ReplayRecord
    ) -> None:
        self._key = key
        self._half = half
        self._payload = payload
        self._lattice = _lattice(payload.lattice_public)
        self._device: bytes | None = None
        self._resumed: bytes | None = None
        self._answered = False
        self.record = record  # append it to the bucket's file before joining

    @property
    def request(self) -> CallRequest:
        """What the caller asks for."""
        return self._payload.request

    @property
    def claim(self) -> bytes | None:
        """The caller's encoded certificates, NOT verified; None for an anonymous caller."""
        claim = self._payload.claim
        return None if claim is None else claim.chain

    @property
    def resume(self) -> ResumeClaim | None:
        """The session that the caller wants to go on with, NOT verified."""
        return self._payload.resume

    @property
    def verified(self) -> bool:
        """Whether the claim's proof was checked."""
        return self._device is not None

    def verify_caller(self, checks: DelegationChecks) -> VerifiedDevice:
        """Verify the caller's certificates and that it holds their device key.

        Raises CallerCredentialsError with the identity layer's reason as its cause,
        CallerRevokedError, BadCallerProofError.
        """
        claim = self._payload.claim
        if claim is None:
            raise LocalProtocolError("an anonymous caller has nothing to prove")
        if checks.network_id != self._key.callee.network_id:
            raise LocalProtocolError("the checks are for another network")
        try:
            device = CredentialChain.decode(claim.chain).verify_with(checks)
        except RevokedError as error:
            raise CallerRevokedError(str(error)) from error
        except IdentityError as error:
            raise CallerCredentialsError(str(error)) from error
        self._verify_proof(claim, device.agreement_public)
        return device

    def _verify_proof(self, claim: CallerClaim, agreement_public: bytes) -> None:
        try:
            agreed = self._key.private.agree(agreement_public)
        except KemError as error:
            raise BadCallerProofError("the device key is of low order") from error
        half = self._half
        proof = early_proof(half.chaining_key, agreed, half.after_header, claim.chain)
        if not equal_proofs(proof, claim.proof):
            raise BadCallerProofError("the caller does not hold the device key it shows")
        self._device = agreement_public

    def verify_resume(self, resume_key: bytes) -> None:
        """Check that the caller knows the session it names; raises ResumeRefusedError."""
        claim = self._payload.resume
        if claim is None:
            raise LocalProtocolError("the caller resumes nothing")
        proof = resume_proof(resume_key, self._half.after_header, claim.first_path)
        if not equal_proofs(proof, claim.proof):
            raise ResumeRefusedError("the caller does not know the session it names")
        self._resumed = resume_key

    def accept(self, answer: CallAnswer, entropy: Callable[[int], bytes]) -> Answer:
        """Answer the call; what the caller claims must have been verified before."""
        if self.claim is not None and self._device is None:
            raise LocalProtocolError("the caller's claim was not verified")
        if self.resume is not None and self._resumed is None:
            raise LocalProtocolError("the session to resume was not verified")
        return self._answer(answer, entropy)

    def refuse(self, status: Status, entropy: Callable[[int], bytes]) -> Answer:
        """Answer with a refusal, which only the caller can read."""
        return self._answer(status, entropy)

    def _answer(self, content: CallAnswer | Status, entropy: Callable[[int], bytes]) -> Answer:
        if self._answered:
            raise LocalProtocolError("a call is answered once")
        self._answered = True
        secret = X25519PrivateKey.from_private_bytes(entropy(POINT_SIZE))
        lattice_shared, lattice_ciphertext = self._lattice.encapsulate()
        header = secret.public_key().public_bytes_raw() + lattice_ciphertext
        shared = agree(secret, self._half.ephemeral_public) + lattice_shared
        keys = derive(self._half.chaining_key, shared, labels.HANDSHAKE_MESSAGE_2, 64)
        transcript = mix(self._half.transcript, header)
        body = AESGCM(keys[32:]).encrypt(NONCE, encode_payload2(content), transcript)
        if isinstance(content, Status):
            return Answer(header + body, None)
        secrets = self._secrets(keys[:32], mix(transcript, body), secret)
        return Answer(header + body, secrets)

    def _secrets(self, key: bytes, transcript: bytes, secret: X25519PrivateKey) -> SessionSecrets:
        proof = None
        if self._device is not None and self.claim is not None:
            proof = caller_proof(key, agree(secret, self._device), transcript, self.claim)
        secrets = session_secrets(key, transcript, proof)
        if self.resume is None or self._resumed is None:
            return secrets
        return resumed_secrets(secrets, key, self._resumed, self.resume.first_path)


def open_message1(
    message: bytes,
    *,
    auth_public: bytes,
    keys: Mapping[bytes, HandshakeKey],
    replay: ReplayFilter,
    wall: int,
) -> OpenedCall:
    """Open what came to the introduction point whose key is ``auth_public``.

    Raises MalformedMessageError, SuiteError, UnknownHandshakeKeyError, ReplayedMessageError,
    BadMessageError, WrongBucketError, UnknownCriticalError, ReplayFilterFullError: all of them are
    met with silence, so that replaying or guessing costs the callee no circuit.
    """
    version, suite, header = decode_header1(message)
    if (version, suite) != (VERSION, SUITE):
        raise SuiteError(f"version {version}, suite {suite}")
    key = keys.get(header.key_id)
    if key is None or key.callee.auth_public != auth_public:
        raise UnknownHandshakeKeyError("no such key at this introduction point")
    tag = sha256(header.ciphertext).digest()[:_REPLAY_TAG_SIZE]
    try:
        replay.check(tag)
    except SetupReplayedError as error:
        raise ReplayedMessageError("opened before") from error
    text, half = _unseal(message, header, key)
    payload = decode_payload1(text)
    _lattice(payload.lattice_public)
    try:
        record = replay.insert(payload.request.bucket, tag, wall)
    except SetupExpiredError as error:
        raise WrongBucketError(str(error)) from error
    return OpenedCall(key, payload, half, record)


def _unseal(message: bytes, header: Header1, key: HandshakeKey) -> tuple[bytes, _Half]:
    try:
        shared = key.private.decapsulate(header.ciphertext)
    except KemError as error:
        raise BadMessageError("the ciphertext holds no usable point") from error
    salt = sha256(labels.HANDSHAKE).digest()
    keys = derive(salt, shared, labels.HANDSHAKE_MESSAGE_1, 64)
    after_header = mix(key.callee.transcript, message[:HEADER_1_SIZE])
    body = message[HEADER_1_SIZE:]
    try:
        text = AESGCM(keys[32:]).decrypt(NONCE, body, after_header)
    except InvalidTag:
        raise BadMessageError("message 1 was not made for this key here") from None
    point = header.ciphertext[-POINT_SIZE:]
    return text, _Half(keys[:32], after_header, mix(after_header, body), point)


def _lattice(raw: bytes) -> MLKEM768PublicKey:
    try:
        return MLKEM768PublicKey.from_public_bytes(raw)
    except ValueError:
        raise MalformedMessageError("the caller's ML-KEM key is not reduced") from None
