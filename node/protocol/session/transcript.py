"""What both sides of a handshake hash before the first byte is sent (SPEC 5.2)."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from peerstream.identity import labels
from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.onion.kem import KemPublicKey
from peerstream.node.protocol.session.messages import KEY_ID_SIZE, SUITE

_ACCOUNT_SIZE = 20
_KEY_SIZE = 32


@dataclass(frozen=True)
class Callee:
    """Who is called, where: everything that the handshake binds.

    ``network_id`` 32, ``account`` 20, ``blinded_key`` 32 of ``period``, ``auth_public`` 32 of the
    introduction point, and the handshake key of the descriptor.
    """

    network_id: bytes
    account: bytes
    blinded_key: bytes
    period: int
    auth_public: bytes
    handshake_key: KemPublicKey

    def __post_init__(self) -> None:
        sizes = (len(self.network_id), len(self.blinded_key), len(self.auth_public))
        if len(self.account) != _ACCOUNT_SIZE or sizes != (_KEY_SIZE,) * 3:
            raise LocalProtocolError("a callee's field has the wrong size")

    @cached_property
    def key_id(self) -> bytes:
        """8 bytes by which message 1 names the handshake key.

        Another one at every introduction point, so that two points cannot tell whom they share.
        """
        period = self.period.to_bytes(8, "big")
        data = (
            labels.HANDSHAKE_KEY_ID
            + self.handshake_key.raw
            + self.blinded_key
            + period
            + self.auth_public
        )
        return sha256(data).digest()[:KEY_ID_SIZE]

    @cached_property
    def transcript(self) -> bytes:
        """The hash that both start from."""
        period = self.period.to_bytes(8, "big")
        parts = (
            labels.HANDSHAKE, bytes((SUITE,)), self.network_id, self.account, self.blinded_key,
            period, self.auth_public,
        )  # fmt: skip
        return mix(sha256(b"".join(parts)).digest(), self.handshake_key.raw)


def mix(transcript: bytes, data: bytes) -> bytes:
    """Return the next transcript hash: H(h || data)."""
    return sha256(transcript + data).digest()
