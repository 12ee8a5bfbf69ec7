const MASK = (1n << 64n) - 1n;
const RATE = 136; // bytes that a block takes in
const ROUNDS = 24;

/** Keccak-256 of ASCII text shorter than a block, in hexadecimal. */
export function keccak256(text: string): string {
  const bytes = new Uint8Array(RATE);
  bytes.set(new TextEncoder().encode(text));
  bytes[text.length] = 1;
  bytes[RATE - 1]! |= 0x80;
  const lanes = new Array<bigint>(25).fill(0n);
  bytes.forEach((byte, n) => (lanes[n >> 3]! ^= BigInt(byte) << BigInt(8 * (n & 7))));
  permute(lanes);
  let digest = "";
  for (let n = 0; n < 32; n++) {
    const byte = (lanes[n >> 3]! >> BigInt(8 * (n & 7))) & 255n;
    digest += byte.toString(16).padStart(2, "0");
  }
  return digest;
}

/** The ERC-55 form of an address. */
export function checksum(address: string): string {
  const digits = address.slice(2).toLowerCase();
  const hash = keccak256(digits);
  return "0x" + digits.replace(/./g, (digit, n: number) => (hash[n]! > "7" ? digit.toUpperCase() : digit));
}

const rotate = (lane: bigint, by: number): bigint =>
  by ? ((lane << BigInt(by)) | (lane >> BigInt(64 - by))) & MASK : lane;

/** Keccak-f[1600]; the constants come out of its two recurrences, as FIPS 202 defines them. */
function permute(a: bigint[]): void {
  let register = 1;
  const nextBit = (): number => {
    const bit = register & 1;
    register = (register << 1) ^ (register >> 7 ? 0x171 : 0);
    return bit;
  };
  for (let round = 0; round < ROUNDS; round++) {
    const c = [0, 1, 2, 3, 4].map((x) => a[x]! ^ a[x + 5]! ^ a[x + 10]! ^ a[x + 15]! ^ a[x + 20]!);
    a.forEach((lane, n) => (a[n] = lane ^ c[(n + 4) % 5]! ^ rotate(c[(n + 1) % 5]!, 1)));
    let [x, y, lane] = [1, 0, a[1]!];
    for (let t = 0; t < 24; t++) {
      [x, y] = [y, (2 * x + 3 * y) % 5];
      const next = a[x + 5 * y]!;
      a[x + 5 * y] = rotate(lane, (((t + 1) * (t + 2)) / 2) % 64);
      lane = next;
    }
    for (let row = 0; row < 25; row += 5) {
      const r = a.slice(row, row + 5);
      r.forEach((value, n) => (a[row + n] = value ^ (~r[(n + 1) % 5]! & MASK & r[(n + 2) % 5]!)));
    }
    for (let j = 0; j < 7; j++) if (nextBit()) a[0]! ^= 1n << BigInt(2 ** j - 1);
  }
}
