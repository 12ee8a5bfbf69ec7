/** UTF-8 in hexadecimal digits, as wallets take it. */
export function hex(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return "0x" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
