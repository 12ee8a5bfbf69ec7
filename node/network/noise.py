"""The Noise transport behind libp2p's handshake, with AES-GCM between our nodes (SPEC 9.4).

libp2p runs the XX handshake; from its two cipher keys on the bytes are ours: contexts made once,
every complete message of a read opened in one go, many messages sealed into one buffer. Between
our nodes the suite is Noise_XX_25519_AESGCM_SHA256 under its own protocol id, which costs a fifth
less CPU on machines with AES instructions; everybody else gets the suite of the libp2p
specification.
"""

import socket
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from libp2p.abc import IRawConnection, ISecureConn
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.peer.id import ID
from libp2p.security.noise.patterns import PatternXX
from libp2p.security.noise.transport import PROTOCOL_ID as STOCK_NOISE
from libp2p.security.noise.transport import Transport as StockTransport
from libp2p.security.secure_session import SecureSession

from peerstream.node.network.errors import (
    ConnectionLostError,
    NoiseMessageError,
    NonceExhaustedError,
)
from peerstream.node.network.transport import TcpStream

NOISE_CHACHA = str(STOCK_NOISE)
NOISE_AESGCM = "/psp/noise-aesgcm/1"
SUITE_AESGCM = b"Noise_XX_25519_AESGCM_SHA256"
LENGTH_SIZE = 2
TAG_SIZE = 16
MESSAGE_MAX = 65_535
PLAINTEXT_MAX = MESSAGE_MAX - TAG_SIZE
OVERHEAD = LENGTH_SIZE + TAG_SIZE
READ_SIZE = 65_536
# 2^36 messages of 64 KiB are 2^48 AES blocks: an attacker's advantage stays below 2^-32. Both
# suites stop there, far from the 2^64 - 1 of the Noise specification (5.1).
MESSAGES_PER_KEY = 1 << 36


class Suite(NamedTuple):
    """How a protocol id turns a cipher key and a message number into an AEAD and a nonce."""

    aead: type[AESGCM | ChaCha20Poly1305]
    byte_order: Any  # Noise 12.3 and 12.4: little-endian for ChaChaPoly, big-endian for AESGCM


SUITES = {
    NOISE_CHACHA: Suite(ChaCha20Poly1305, "little"),
    NOISE_AESGCM: Suite(AESGCM, "big"),
}


class Sealer:
    """One direction's sending key. Messages of at most 65 519 bytes of plaintext."""

    __slots__ = ("_byte_order", "_encrypt_into", "_number")

    def __init__(self, suite: Suite, key: bytes, number: int) -> None:
        self._encrypt_into = suite.aead(key).encrypt_into
        self._byte_order = suite.byte_order
        self._number = number

    def seal_into(self, plaintext: bytes | memoryview, out: memoryview) -> int:
        """Write length and ciphertext to the front of ``out``; returns how many bytes that is.

        Raises:
            NonceExhaustedError: the key has done its messages.

        """
        number = self._number
        if number >= MESSAGES_PER_KEY:
            raise NonceExhaustedError("the sending key is used up")
        size = len(plaintext) + TAG_SIZE
        out[0] = size >> 8
        out[1] = size & 0xFF
        nonce = b"\0\0\0\0" + number.to_bytes(8, self._byte_order)
        self._encrypt_into(nonce, plaintext, None, out[LENGTH_SIZE : LENGTH_SIZE + size])
        self._number = number + 1
        return LENGTH_SIZE + size


class Opener:
    """One direction's receiving key."""

    __slots__ = ("_byte_order", "_decrypt", "_number")

    def __init__(self, suite: Suite, key: bytes, number: int) -> None:
        self._decrypt = suite.aead(key).decrypt
        self._byte_order = suite.byte_order
        self._number = number

    def open(self, message: bytes | memoryview) -> bytes:
        """Return the plaintext of one message, which comes without its length.

        Raises:
            NoiseMessageError: it does not authenticate.
            NonceExhaustedError: the key has done its messages.

        """
        number = self._number
        if number >= MESSAGES_PER_KEY:
            raise NonceExhaustedError("the receiving key is used up")
        nonce = b"\0\0\0\0" + number.to_bytes(8, self._byte_order)
        try:
            plaintext = self._decrypt(nonce, message, None)
        except (InvalidTag, ValueError):  # ValueError: shorter than a tag
            raise NoiseMessageError("a transport message does not authenticate") from None
        self._number = number + 1
        return plaintext


def open_messages(data: memoryview, opener: Opener) -> tuple[list[bytes], int]:
    """Open every complete message in ``data``; also returns how many bytes they took.

    Raises:
        NoiseMessageError: one of them does not authenticate.

    """
    plaintexts: list[bytes] = []
    position, end = 0, len(data)
    while end - position >= LENGTH_SIZE:
        start = position + LENGTH_SIZE
        stop = start + (data[position] << 8 | data[position + 1])
        if stop > end:
            break
        plaintexts.append(opener.open(data[start:stop]))
        position = stop
    return plaintexts, position


class Detached(NamedTuple):
    """A session's socket and state, for the muxer that owns them from now on."""

    socket: socket.socket
    sealer: Sealer
    opener: Opener
    received: bytes  # ciphertext of a message that is not complete yet
    plaintext: bytes  # opened, but not read by the negotiation


class NoiseSession(SecureSession):  # type: ignore[misc]  # libp2p is untyped here
    """A secured connection as libp2p sees it: read and written while the muxer is negotiated."""

    def __init__(self, stock: SecureSession, stream: TcpStream, suite: Suite) -> None:
        super().__init__(
            local_peer=stock.local_peer,
            local_private_key=stock.local_private_key,
            remote_peer=stock.remote_peer,
            remote_permanent_pubkey=stock.remote_permanent_pubkey,
            is_initiator=stock.is_initiator,
            conn=stock.conn,
        )
        state = stock.conn.noise_state.noise_protocol
        sending, receiving = state.cipher_state_encrypt, state.cipher_state_decrypt
        self._sealer = Sealer(suite, bytes(sending.k), sending.n)
        self._opener = Opener(suite, bytes(receiving.k), receiving.n)
        self._stream = stream
        self._received = b""
        self._plaintext = b""

    async def read(self, n: int | None = None) -> bytes:
        """At least one byte and at most n; waits for a whole message.

        Raises:
            ConnectionLostError: the peer left.
            NoiseMessageError: a message does not authenticate.

        """
        while not self._plaintext:
            data = await self._stream.read(READ_SIZE)
            if not data:
                raise ConnectionLostError("the peer left during the negotiation")
            received = self._received + data
            plaintexts, used = open_messages(memoryview(received), self._opener)
            self._received, self._plaintext = received[used:], b"".join(plaintexts)
        size = len(self._plaintext) if n is None else n
        data, self._plaintext = self._plaintext[:size], self._plaintext[size:]
        return data

    async def write(self, data: bytes) -> None:
        """Seal and send all of it. An empty message is never sent: some peers take it for an end.

        Raises:
            NonceExhaustedError: the key has done its messages.

        """
        for start in range(0, len(data), PLAINTEXT_MAX):
            chunk = data[start : start + PLAINTEXT_MAX]
            sealed = bytearray(len(chunk) + OVERHEAD)
            self._sealer.seal_into(chunk, memoryview(sealed))
            await self._stream.write(bytes(sealed))

    def detach(self) -> Detached:
        """Hand socket and keys over; this object is of no use afterwards."""
        sock = self._stream.detach()
        return Detached(sock, self._sealer, self._opener, self._received, self._plaintext)

    async def close(self) -> None:
        """Close the socket, unless it has been handed over."""
        await self._stream.close()

    def get_remote_address(self) -> tuple[str, int] | None:
        """IP and port, remembered from the beginning of the connection."""
        return self._stream.get_remote_address()


class NoiseTransport(StockTransport):  # type: ignore[misc]  # libp2p is untyped here
    """libp2p's handshake, then our session."""

    def __init__(self, key: KeyPair, protocol: str) -> None:
        super().__init__(key, noise_privkey=create_noise_key_pair().private_key)
        self._protocol = protocol

    def get_pattern(self) -> PatternXX:
        """Return the XX pattern; our own id has AES-GCM in its name, so all keys differ."""
        pattern = PatternXX(self.local_peer, self.libp2p_privkey, self.noise_privkey)
        if self._protocol == NOISE_AESGCM:
            pattern.protocol_name = SUITE_AESGCM
        return pattern

    async def secure_inbound(self, conn: IRawConnection) -> ISecureConn:
        """Handshake as the side that was dialled."""
        return self._session(await super().secure_inbound(conn), conn)

    async def secure_outbound(self, conn: IRawConnection, peer_id: ID) -> ISecureConn:
        """Handshake as the dialler, who knows whom to expect."""
        return self._session(await super().secure_outbound(conn, peer_id), conn)

    def _session(self, stock: SecureSession, conn: IRawConnection) -> NoiseSession:
        return NoiseSession(stock, conn.stream, SUITES[self._protocol])
