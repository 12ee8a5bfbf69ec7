/** What a sign-in message says (EIP-4361). */
export interface MessageFields {
  domain: string;
  address: string;
  uri: string;
  chainId: number;
  nonce: string;
  issuedAt: string;
  statement?: string | undefined;
  expirationTime?: string | undefined;
  notBefore?: string | undefined;
  requestId?: string | undefined;
  resources?: readonly string[] | undefined;
}

/** Writes the text that the wallet shows and signs. */
export function writeMessage(fields: MessageFields): string {
  const optional = (label: string, value: string | undefined): string =>
    value === undefined ? "" : `\n${label}: ${value}`;
  return (
    `${fields.domain} wants you to sign in with your Ethereum account:\n${fields.address}\n\n` +
    (fields.statement === undefined ? "" : `${fields.statement}\n`) +
    `\nURI: ${fields.uri}\nVersion: 1\nChain ID: ${fields.chainId}\nNonce: ${fields.nonce}` +
    `\nIssued At: ${fields.issuedAt}` +
    optional("Expiration Time", fields.expirationTime) +
    optional("Not Before", fields.notBefore) +
    optional("Request ID", fields.requestId) +
    (fields.resources ? ["\nResources:", ...fields.resources].join("\n- ") : "")
  );
}
