import { LoginError } from "./errors.js";
import { hex } from "./hex.js";

/** A delegation as a PeerStream node asks for it: the EIP-712 JSON that `psp id new --sign-with external` writes. */
export interface DelegationRequest {
  readonly domain: { readonly salt: string };
  readonly message: {
    readonly statement: string;
    readonly account: string;
    readonly identityKey: string;
    readonly issued: number;
    readonly notBefore: number;
    readonly notAfter: number;
    readonly scope: number;
    readonly label: string;
  };
}

const SENTENCE = "Sign in to this site.";
/** SHA-256 of `psp/siwe-grant/1`. */
const SUFFIX = "3593fef4fd9d32b360e75c694a4f362cc09b4725c6f003718ef48a33b458544e";

/** What a sign-in message must say so that the same signature grants a delegation. */
export function grantTerms({ domain, message }: DelegationRequest): {
  statement: string;
  resource: string;
  issuedAt: string;
} {
  const { identityKey, notBefore, notAfter, scope, label } = message;
  const bare = (digits: string): string => digits.replace(/^0x/, "").toLowerCase();
  return {
    statement: `${SENTENCE} ${message.statement}`,
    resource:
      `psp:delegate?network=${bare(domain.salt)}&key=${bare(identityKey)}&from=${time(notBefore)}` +
      `&until=${time(notAfter)}&scope=${scope}&label=${label.replaceAll(" ", "%20")}`,
    issuedAt: time(message.issued),
  };
}

/** Returns what the node takes for the delegation's signature, as hexadecimal digits. */
export function wrapGrant(message: string, signature: string): string {
  const inner = signature.slice(2);
  const size = (inner.length / 2).toString(16).padStart(4, "0");
  if (!/^0x(?:[0-9a-f]{2})+$/i.test(signature) || size.length > 4) {
    throw new LoginError("wallet-failed", "the wallet gave no signature");
  }
  return `0x${size}${inner}${hex(message).slice(2)}${SUFFIX}`;
}

const time = (unix: number): string => new Date(1000 * unix).toISOString().replace(".000", "");
