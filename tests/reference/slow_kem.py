"""X25519 (RFC 7748), ML-KEM-768 (FIPS 203) and X-Wing (its draft), with big integers and lists."""

import hashlib

P = 2**255 - 19
Q, K, N = 3329, 3, 256


def x25519(scalar, point):
    number = int.from_bytes(scalar, "little") & ~7 & ((1 << 254) - 1) | 1 << 254
    x1 = int.from_bytes(point, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for bit in range(254, -1, -1):
        now = number >> bit & 1
        if swap ^ now:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = now
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a % P, c * b % P
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        aa, bb = a * a % P, b * b % P
        e = aa - bb
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


BASE = (9).to_bytes(32, "little")
ZETAS = [pow(17, int(f"{i:07b}"[::-1], 2), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * int(f"{i:07b}"[::-1], 2) + 1, Q) for i in range(128)]


def ntt(values):
    f, i, length = list(values), 1, 128
    while length >= 2:
        for start in range(0, N, 2 * length):
            zeta, i = ZETAS[i], i + 1
            for j in range(start, start + length):
                t = zeta * f[j + length] % Q
                f[j + length], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
        length //= 2
    return f


def inverse_ntt(values):
    f, i, length = list(values), 127, 2
    while length <= 128:
        for start in range(0, N, 2 * length):
            zeta, i = ZETAS[i], i - 1
            for j in range(start, start + length):
                t = f[j]
                f[j], f[j + length] = (t + f[j + length]) % Q, zeta * (f[j + length] - t) % Q
        length *= 2
    return [x * 3303 % Q for x in f]


def multiply(f, g):
    h = []
    for i in range(128):
        a, b, c, d = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        h += [(a * c + b * d * GAMMAS[i]) % Q, (a * d + b * c) % Q]
    return h


def add(*polys):
    return [sum(xs) % Q for xs in zip(*polys, strict=True)]


def dot(row, vector):
    return add(*(multiply(a, b) for a, b in zip(row, vector, strict=True)))


def sample_matrix(rho, i, j):
    stream = hashlib.shake_128(rho + bytes((j, i))).digest(3 * 700)
    values = []
    for at in range(0, len(stream), 3):
        b = stream[at : at + 3]
        for candidate in (b[0] + 256 * (b[1] % 16), b[1] // 16 + 16 * b[2]):
            if candidate < Q and len(values) < N:
                values.append(candidate)
    return values


def noise(seed, number):
    bits = int.from_bytes(hashlib.shake_256(seed + bytes((number,))).digest(128), "little")
    values = []
    for i in range(N):
        four = bits >> 4 * i & 15
        values.append(((four & 1) + (four >> 1 & 1) - (four >> 2 & 1) - (four >> 3)) % Q)
    return values


def pack(values, width):
    whole = sum(value << width * i for i, value in enumerate(values))
    return whole.to_bytes(32 * width, "little")


def unpack(data, width):
    whole = int.from_bytes(data, "little")
    return [whole >> width * i & ((1 << width) - 1) for i in range(N)]


def compress(values, width):
    return [((x << width) + Q // 2) // Q % (1 << width) for x in values]


def decompress(values, width):
    return [(x * Q + (1 << width - 1)) >> width for x in values]


def vector(data, width):
    size = 32 * width
    return [unpack(data[i * size : i * size + size], width) for i in range(K)]


def mlkem_keys(seed):
    """(public 1184, private 2400) from d || z."""
    d, z = seed[:32], seed[32:]
    drawn = hashlib.sha3_512(d + bytes((K,))).digest()
    rho, sigma = drawn[:32], drawn[32:]
    matrix = [[sample_matrix(rho, i, j) for j in range(K)] for i in range(K)]
    secret = [ntt(noise(sigma, i)) for i in range(K)]
    errors = [ntt(noise(sigma, K + i)) for i in range(K)]
    t = [add(dot(row, secret), e) for row, e in zip(matrix, errors, strict=True)]
    public = b"".join(pack(x, 12) for x in t) + rho
    private = b"".join(pack(x, 12) for x in secret)
    return public, private + public + hashlib.sha3_256(public).digest() + z


def pke_encrypt(public, message, coins):
    t, rho = vector(public, 12), public[1152:]
    matrix = [[sample_matrix(rho, i, j) for j in range(K)] for i in range(K)]
    y = [ntt(noise(coins, i)) for i in range(K)]
    columns = [[matrix[i][j] for i in range(K)] for j in range(K)]
    u = [add(inverse_ntt(dot(column, y)), noise(coins, K + i)) for i, column in enumerate(columns)]
    mu = decompress(unpack(message, 1), 1)
    v = add(inverse_ntt(dot(t, y)), noise(coins, 2 * K), mu)
    return b"".join(pack(compress(x, 10), 10) for x in u) + pack(compress(v, 4), 4)


def mlkem_encapsulate(public, message):
    """(shared, ciphertext) with the 32 random bytes given."""
    drawn = hashlib.sha3_512(message + hashlib.sha3_256(public).digest()).digest()
    return drawn[:32], pke_encrypt(public, message, drawn[32:])


def mlkem_decapsulate(private, ciphertext):
    secret, public = vector(private, 12), private[1152:2336]
    digest, z = private[2336:2368], private[2368:]
    u = [decompress(x, 10) for x in vector(ciphertext, 10)]
    v = decompress(unpack(ciphertext[960:], 4), 4)
    inner = inverse_ntt(dot(secret, [ntt(x) for x in u]))
    message = pack(compress([(a - b) % Q for a, b in zip(v, inner, strict=True)], 1), 1)
    drawn = hashlib.sha3_512(message + digest).digest()
    if pke_encrypt(public, message, drawn[32:]) == ciphertext:
        return drawn[:32]
    return hashlib.shake_256(z + ciphertext).digest(32)


def xwing_keys(seed):
    """(public 1216, private pair) from 32 bytes."""
    expanded = hashlib.shake_256(seed).digest(96)
    public, private = mlkem_keys(expanded[:64])
    return public + x25519(expanded[64:], BASE), (private, expanded[64:])


def _combine(first, second, point, public):
    label = bytes.fromhex("5c2e2f2f5e5c")
    return hashlib.sha3_256(first + second + point + public + label).digest()


def xwing_encapsulate(public, seed):
    """(shared, ciphertext) with 64 random bytes: ML-KEM's 32, the ephemeral's 32."""
    first, ciphertext = mlkem_encapsulate(public[:1184], seed[:32])
    point = x25519(seed[32:], BASE)
    second = x25519(seed[32:], public[1184:])
    return _combine(first, second, point, public[1184:]), ciphertext + point


def xwing_decapsulate(private, ciphertext):
    point = ciphertext[1088:]
    first = mlkem_decapsulate(private[0], ciphertext[:1088])
    public = x25519(private[1], BASE)
    return _combine(first, x25519(private[1], point), point, public)
