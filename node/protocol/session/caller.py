"""The calling side of the handshake PSP-E2E-1 (SPEC 5.2).

Noise XK with KEMs: message 1 is sealed to the callee's handshake key, message 2 makes the session
forward secret against today's and tomorrow's computers.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peerstream.identity import labels
from peerstream.identity.errors import KeyMaterialError
from peerstream.node.protocol.onion.errors import KemError
from peerstream.node.protocol.onion.kem import agree
from peerstream.node.protocol.session.errors import (
    BadMessageError,
    CallRefusedError,
    MalformedMessageError,
)
from peerstream.node.protocol.session.messages import (
    HEADER_2_SIZE,
    POINT_SIZE,
    CallAnswer,
    CallerClaim,
    CallRequest,
    Header1,
    Payload1,
    ResumeClaim,
    decode_payload2,
    encode_payload1,
)
from peerstream.node.protocol.session.proof import caller_proof, early_proof
from peerstream.node.protocol.session.schedule import (
    SessionSecrets,
    derive,
    resumed_secrets,
    session_secrets,
)
from peerstream.node.protocol.session.transcript import Callee, mix
from peerstream.node.protocol.wire.sizes import JOIN_BLOB_SIZES
from peerstream.node.protocol.wire.status import Status

NONCE = bytes(12)  # every handshake key seals one message


class AgreementKey(Protocol):
    """The device key of a caller; `identity.DeviceKeys` is one."""

    def agree(self, peer_public: bytes) -> bytes:
        """X25519 with a public key of 32 bytes."""


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """How a caller names itself: its encoded certificates and its device key."""

    chain: bytes
    device: AgreementKey


@dataclass(frozen=True, slots=True, repr=False)
class ResumeSession:
    """The session to go on with, from `Session`."""

    session_id: bytes
    resume_key: bytes
    first_path: int


@dataclass(frozen=True, slots=True)
class CallAccepted:
    """What a finished handshake gives the caller."""

    secrets: SessionSecrets
    answer: CallAnswer


def resume_proof(resume_key: bytes, transcript: bytes, first_path: int) -> bytes:
    """RESUME's MAC over the transcript after the header and the first path."""
    return hmac.digest(resume_key, transcript + first_path.to_bytes(4, "big"), "sha256")


class CallerHandshake:
    """Makes message 1 once and reads message 2 once."""

    def __init__(
        self,
        callee: Callee,
        request: CallRequest,
        *,
        entropy: Callable[[int], bytes],
        identity: CallerIdentity | None,
        resume: ResumeSession | None = None,
    ) -> None:
        self._identity = identity
        self._resume = resume
        self._lattice = MLKEM768PrivateKey.from_seed_bytes(entropy(64))
        sealed = callee.handshake_key.encapsulate()
        self._ephemeral = sealed.ephemeral
        salt = sha256(labels.HANDSHAKE).digest()
        keys = derive(salt, sealed.shared, labels.HANDSHAKE_MESSAGE_1, 64)
        self._chaining_key = keys[:32]
        header = Header1(callee.key_id, sealed.ciphertext).encode()
        transcript = mix(callee.transcript, header)
        payload = Payload1(
            self._lattice.public_key().public_bytes_raw(),
            request,
            self._claim(callee, transcript),
            self._resume_claim(transcript),
        )
        body = AESGCM(keys[32:]).encrypt(NONCE, encode_payload1(payload), transcript)
        self._transcript = mix(transcript, body)
        self._message = header + body

    def _claim(self, callee: Callee, transcript: bytes) -> CallerClaim | None:
        if self._identity is None:
            return None
        chain = self._identity.chain
        agreed = self._identity.device.agree(callee.handshake_key.x25519)
        return CallerClaim(chain, early_proof(self._chaining_key, agreed, transcript, chain))

    def _resume_claim(self, transcript: bytes) -> ResumeClaim | None:
        if self._resume is None:
            return None
        old = self._resume
        proof = resume_proof(old.resume_key, transcript, old.first_path)
        return ResumeClaim(old.session_id, old.first_path, proof)

    def message1(self) -> bytes:
        """Return the 9 184 bytes for the introduction point; the same ones at every call."""
        return self._message

    def finish(self, message2: bytes) -> CallAccepted:
        """Read message 2.

        Raises MalformedMessageError and BadMessageError when it is not the callee's answer,
        CallRefusedError when the callee refused.
        """
        if len(message2) not in JOIN_BLOB_SIZES:
            raise MalformedMessageError(f"message 2 of {len(message2)} bytes")
        point, header, body = (
            message2[:POINT_SIZE],
            message2[:HEADER_2_SIZE],
            message2[HEADER_2_SIZE:],
        )
        try:
            shared = agree(self._ephemeral, point)
            shared += self._lattice.decapsulate(header[POINT_SIZE:])
        except KemError as error:
            raise BadMessageError("message 2 holds no usable key") from error
        keys = derive(self._chaining_key, shared, labels.HANDSHAKE_MESSAGE_2, 64)
        transcript = mix(self._transcript, header)
        try:
            payload = AESGCM(keys[32:]).decrypt(NONCE, body, transcript)
        except InvalidTag:
            raise BadMessageError("message 2 is not of the one we called") from None
        answer = decode_payload2(payload)
        if isinstance(answer, Status):
            raise CallRefusedError(answer)
        return CallAccepted(self._secrets(keys[:32], mix(transcript, body), point), answer)

    def _secrets(self, key: bytes, transcript: bytes, point: bytes) -> SessionSecrets:
        proof = None
        if self._identity is not None:
            try:
                agreed = self._identity.device.agree(point)
            except KeyMaterialError as error:
                raise BadMessageError("message 2 holds no usable key") from error
            proof = caller_proof(key, agreed, transcript, self._identity.chain)
        secrets = session_secrets(key, transcript, proof)
        if self._resume is None:
            return secrets
        return resumed_secrets(secrets, key, self._resume.resume_key, self._resume.first_path)
