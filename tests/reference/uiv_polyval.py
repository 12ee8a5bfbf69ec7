"""Tor's primitives in the package's own layer: POLYVAL and AES-128 instead of GMAC and AES-256.

What runs is `Layer.encipher` and `Layer.decipher`; only the three calls they make are replaced,
so Tor's published vectors check the composition itself.
"""

from peerstream.node.protocol.onion.keys import LAYER_KEYS_SIZE, LayerKeys
from peerstream.node.protocol.onion.layer import Layer
from tests.reference.slow_aes import counter_stream, decrypt_block, encrypt_block, polyval, xor


class PolyvalLayer(Layer):
    """keys = J (AES 16, POLYVAL 16) || S (likewise); tweak = previous tag 16 || command 1."""

    _TWEAK = slice(0, 16)

    def __init__(self, keys: bytes, tweak: bytes, cell_size: int) -> None:
        super().__init__(LayerKeys(bytes(LAYER_KEYS_SIZE)), cell_size)
        self._block_key, self._hash_key = keys[:16], keys[16:32]
        self._stream_key, self._stream_hash_key = keys[32:48], keys[48:]
        self._tweak, self._command = tweak[:16], tweak[16:]

    def _open_encryptor(self, cell):
        self._hash, self._stream = self._polyval, self._counter
        return lambda block: encrypt_block(self._block_key, block)

    def _open_decryptor(self, cell):
        self._hash, self._stream = self._polyval, self._counter
        return lambda block: decrypt_block(self._block_key, block)

    def _polyval(self, tweak, _plain, right):
        data = tweak + self._command + bytes(right)
        return polyval(self._hash_key, data + bytes(-len(data) % 16))

    def _counter(self, left, right, _aad, out):
        start = polyval(self._stream_hash_key, left)
        start = start[:15] + bytes((start[15] & 0xC0,))
        out[: len(right)] = xor(bytes(right), counter_stream(self._stream_key, start, len(right)))
