/** Why a sign-in failed. `code` is ours (below) or the server's (`nonce-spent`, `message-expired`, ...). */
export class LoginError extends Error {
  override readonly name = "LoginError";
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The person said no in the wallet (EIP-1193): nothing went wrong, ask again when they want to. */
const USER_REJECTED = 4001;

/** Names what a wallet threw. */
export function walletError(cause: unknown): LoginError {
  const code = (cause as { code?: unknown } | null)?.code;
  return code === USER_REJECTED
    ? new LoginError("user-rejected", "the request was rejected in the wallet", { cause })
    : new LoginError("wallet-failed", "the wallet did not do what it was asked", { cause });
}
