"""AES, its counter mode, GCM and POLYVAL, straight from FIPS 197, SP 800-38D and RFC 8452.

Slow on purpose: the code that the tests compare with shares nothing with the one under test.
"""

from functools import lru_cache


def _multiply(a, b):
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = (a << 1) ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def _make_box():
    box = []
    for value in range(256):
        inverse = next((x for x in range(256) if _multiply(value, x) == 1), 0)
        mixed = 0x63
        for turn in range(5):
            mixed ^= ((inverse << turn) | (inverse >> (8 - turn))) & 0xFF
        box.append(mixed)
    return box


BOX = _make_box()
UNBOX = [BOX.index(value) for value in range(256)]
FACTORS = (2, 3, 9, 11, 13, 14)
TIMES = {factor: [_multiply(value, factor) for value in range(256)] for factor in FACTORS}


@lru_cache(maxsize=16)
def round_keys(key):
    """The round keys of an AES key of 16 or 32 bytes, 16 bytes each."""
    words = [list(key[i : i + 4]) for i in range(0, len(key), 4)]
    size = len(words)
    rounds = size + 6
    constant = 1
    while len(words) < 4 * (rounds + 1):
        word = list(words[-1])
        if len(words) % size == 0:
            word = [BOX[b] for b in word[1:] + word[:1]]
            word[0] ^= constant
            constant = _multiply(constant, 2)
        elif size == 8 and len(words) % size == 4:
            word = [BOX[b] for b in word]
        words.append([a ^ b for a, b in zip(words[-size], word, strict=True)])
    flat = [b for word in words for b in word]
    return [flat[i : i + 16] for i in range(0, len(flat), 16)]


def _mix(state, factors):
    mixed = []
    for column in range(0, 16, 4):
        for row in range(4):
            value = 0
            for other in range(4):
                byte = state[column + other]
                factor = factors[(other - row) % 4]
                value ^= byte if factor == 1 else TIMES[factor][byte]
            mixed.append(value)
    return mixed


def encrypt_block(key, block):
    keys = round_keys(key)
    state = [a ^ b for a, b in zip(block, keys[0], strict=True)]
    for number, round_key in enumerate(keys[1:], 1):
        state = [BOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if number < len(keys) - 1:
            state = _mix(state, (2, 3, 1, 1))
        state = [a ^ b for a, b in zip(state, round_key, strict=True)]
    return bytes(state)


def decrypt_block(key, block):
    keys = round_keys(key)
    state = list(block)
    for number in range(len(keys) - 1, 0, -1):
        state = [a ^ b for a, b in zip(state, keys[number], strict=True)]
        if number < len(keys) - 1:
            state = _mix(state, (14, 11, 13, 9))
        state = [UNBOX[state[(i - 4 * (i % 4)) % 16]] for i in range(16)]
    return bytes(a ^ b for a, b in zip(state, keys[0], strict=True))


def xor(first, second):
    return bytes(a ^ b for a, b in zip(first, second, strict=True))


def counter_stream(key, start, length, width=128):
    """`length` bytes from the 16-byte counter block `start`; only its last `width` bits count."""
    counter = int.from_bytes(start, "big")
    fixed = counter >> width << width
    blocks = []
    for number in range((length + 15) // 16):
        value = fixed | ((counter + number) & ((1 << width) - 1))
        blocks.append(encrypt_block(key, value.to_bytes(16, "big")))
    return b"".join(blocks)[:length]


def _pad(data):
    return data + bytes(-len(data) % 16)


def ghash(key, data):
    """GHASH of whole blocks under a 16-byte key (SP 800-38D, algorithms 1 and 2)."""
    factor = int.from_bytes(key, "big")
    state = 0
    for i in range(0, len(data), 16):
        state ^= int.from_bytes(data[i : i + 16], "big")
        product, shifted = 0, factor
        for bit in range(127, -1, -1):
            if state >> bit & 1:
                product ^= shifted
            shifted = (shifted >> 1) ^ (0xE1 << 120 if shifted & 1 else 0)
        state = product
    return state.to_bytes(16, "big")


def gcm_seal(key, nonce, plain, aad):
    """(ciphertext, tag) of AES-GCM with a 12-byte nonce."""
    start = nonce + b"\0\0\0\1"
    sealed = xor(plain, counter_stream(key, nonce + b"\0\0\0\2", len(plain), 32))
    lengths = (8 * len(aad)).to_bytes(8, "big") + (8 * len(plain)).to_bytes(8, "big")
    digest = ghash(encrypt_block(key, bytes(16)), _pad(aad) + _pad(sealed) + lengths)
    return sealed, xor(digest, encrypt_block(key, start))


def polyval(key, data):
    """POLYVAL of whole blocks under a 16-byte key, by its relation to GHASH (RFC 8452, A)."""
    factor = int.from_bytes(key[::-1], "big")
    factor = (factor >> 1) ^ (0xE1 << 120 if factor & 1 else 0)
    turned = b"".join(data[i : i + 16][::-1] for i in range(0, len(data), 16))
    return ghash(factor.to_bytes(16, "big"), turned)[::-1]
