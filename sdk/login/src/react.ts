import { useCallback, useEffect, useState } from "react";
import { checksum } from "./checksum.js";
import { LoginError } from "./errors.js";
import { session, signIn, type SignInOptions, signOut, type User } from "./login.js";
import { type Wallet, watchAccount, watchWallets } from "./wallets.js";

export interface LoginState {
  /** undefined until it is known, null when nobody is signed in. */
  readonly user: User | null | undefined;
  /** The wallets of this browser, as they announce themselves. */
  readonly wallets: readonly Wallet[];
  /** While the wallet or the server is asked. */
  readonly busy: boolean;
  /** Why the last attempt failed; gone with the next. */
  readonly error: LoginError | null;
  signIn(wallet: Wallet): Promise<void>;
  signOut(options?: { everywhere?: boolean }): Promise<void>;
}

/**
 * Who is signed in, and how to change that. Switching to another account in the wallet signs out:
 * the page must not go on as somebody whom the person believes to have left.
 */
export function useLogin(options: SignInOptions = {}): LoginState {
  const [user, setUser] = useState<User | null>();
  const [wallets, setWallets] = useState<readonly Wallet[]>([]);
  const [wallet, setWallet] = useState<Wallet | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<LoginError | null>(null);
  const base = options.base ?? "";

  const attempt = useCallback(async (act: () => Promise<User | null>) => {
    setBusy(true);
    setError(null);
    try {
      setUser(await act());
    } catch (cause) {
      if (!(cause instanceof LoginError)) throw cause;
      setError(cause);
    } finally {
      setBusy(false);
    }
  }, []);

  useEffect(() => watchWallets((found) => setWallets((known) => [...known, found])), []);
  useEffect(() => void attempt(() => session({ base })), [attempt, base]);

  const leave = useCallback(
    (how: { everywhere?: boolean } = {}) =>
      attempt(async () => {
        await signOut({ base, ...how });
        return null;
      }),
    [attempt, base],
  );

  useEffect(() => {
    if (!wallet || !user) return;
    return watchAccount(wallet, (account) => {
      if (!account || checksum(account) !== user.walletAddress) void leave();
    });
  }, [wallet, user, leave]);

  return {
    user,
    wallets,
    busy,
    error,
    signIn: (chosen) =>
      attempt(async () => {
        const login = await signIn(chosen, options);
        setWallet(chosen);
        return login.user;
      }),
    signOut: leave,
  };
}
