import { checksum } from "./checksum.js";
import { LoginError, walletError } from "./errors.js";
import { type DelegationRequest, grantTerms, wrapGrant } from "./grant.js";
import { hex } from "./hex.js";
import { ask, type Place } from "./http.js";
import { type MessageFields, writeMessage } from "./message.js";
import type { Wallet } from "./wallets.js";

/** Who is signed in; `id` is the CAIP-10 name. */
export interface User {
  readonly id: string;
  readonly walletAddress: string;
  readonly chainId: number;
}

/** A login: the session itself is in cookies; `token` is a JWT for other services. */
export interface Login {
  readonly user: User;
  readonly token: string;
  readonly message: string;
  readonly signature: string;
  /** With a delegation: what its node takes for the signature (`psp id import-signature`). */
  readonly grant: string | null;
}

export interface SignInOptions extends Place {
  /** What the wallet shows above the details. */
  readonly statement?: string;
  /** The chain that must be selected; without it, whichever is. */
  readonly chainId?: number;
  /** How long the message counts, in seconds; the nonce has its own time. */
  readonly expiresIn?: number;
  readonly resources?: readonly string[];
  /** What a node of the person's asks for; the one signature grants that, too. Sets `statement`. */
  readonly delegation?: DelegationRequest;
}

const SIGNED_IN = "peerstream-login"; // says only that there is something to refresh

/** Asks the wallet to sign in: one prompt for the account, where needed, and one signature. */
export async function signIn(wallet: Wallet, options: SignInOptions = {}): Promise<Login> {
  const address = await account(wallet);
  const chainId = await chain(wallet, options.chainId);
  const terms = options.delegation && grantTerms(options.delegation);
  if (options.delegation && checksum(options.delegation.message.account) !== address) {
    throw new LoginError("other-account", "the node asks for another account than the wallet's");
  }
  const { nonce } = await ask<{ nonce: string }>(options, "POST", "/siwe/nonce", {});
  const now = Date.now();
  const time = (seconds: number): string => new Date(now + 1000 * seconds).toISOString();
  const fields: MessageFields = {
    domain: location.host,
    address,
    uri: location.origin,
    chainId,
    nonce,
    issuedAt: terms?.issuedAt ?? time(0),
    statement: terms?.statement ?? options.statement,
    expirationTime: options.expiresIn === undefined ? undefined : time(options.expiresIn),
    resources: terms ? [...(options.resources ?? []), terms.resource] : options.resources,
  };
  const message = writeMessage(fields);
  const signature = await call<string>(wallet, "personal_sign", [hex(message), address]);
  const answer = await ask<{ user: User; token: string }>(options, "POST", "/siwe/verify", {
    message,
    signature,
  });
  remember(true);
  const grant = terms ? wrapGrant(message, signature) : null;
  return { user: answer.user, token: answer.token, message, signature, grant };
}

/** Tells who is signed in, or null; a session that ran out is refreshed, by one tab at a time. */
export async function session(place: Place = {}): Promise<User | null> {
  const found = await current(place);
  if (found || !remembered()) return found;
  return locked(async () => {
    // another tab may have refreshed while this one waited
    const again = await current(place);
    if (again) return again;
    const login = await unlessSignedOut(() => ask<{ user: User }>(place, "POST", "/siwe/refresh"));
    remember(login !== null);
    return login?.user ?? null;
  });
}

/** Exchanges the refresh cookie for a new one and returns a new token for other services, or null. */
export async function refresh(place: Place = {}): Promise<string | null> {
  return locked(async () => {
    const login = await unlessSignedOut(() => ask<{ token: string }>(place, "POST", "/siwe/refresh"));
    remember(login !== null);
    return login?.token ?? null;
  });
}

/** Ends the session, or with `everywhere` all sessions of the account. */
export async function signOut(options: Place & { readonly everywhere?: boolean } = {}): Promise<void> {
  // a session that ran out can still be refreshed, and must not be
  if (await session(options)) {
    const path = options.everywhere ? "/siwe/logout/all" : "/siwe/logout";
    await unlessSignedOut(() => ask(options, "POST", path));
  }
  remember(false);
}

async function account(wallet: Wallet): Promise<string> {
  const accounts = await call<string[]>(wallet, "eth_requestAccounts");
  const first = accounts[0];
  if (!first) throw new LoginError("no-account", "the wallet gives no account");
  return checksum(first);
}

async function chain(wallet: Wallet, wanted: number | undefined): Promise<number> {
  const selected = async (): Promise<number> => Number(await call<string>(wallet, "eth_chainId"));
  if (wanted === undefined || (await selected()) === wanted) return wanted ?? selected();
  await call(wallet, "wallet_switchEthereumChain", [{ chainId: `0x${wanted.toString(16)}` }]);
  if ((await selected()) !== wanted) throw new LoginError("wrong-chain", "the wallet stays on its chain");
  return wanted;
}

async function call<T>(wallet: Wallet, method: string, params: readonly unknown[] = []): Promise<T> {
  try {
    return (await wallet.provider.request({ method, params })) as T;
  } catch (cause) {
    throw walletError(cause);
  }
}

async function current(place: Place): Promise<User | null> {
  const found = await unlessSignedOut(() => ask<{ user: User }>(place, "GET", "/siwe/session"));
  return found?.user ?? null;
}

const ENDED = new Set(["not-signed-in", "refresh-reused", "wallet-changed"]);

async function unlessSignedOut<T>(act: () => Promise<T>): Promise<T | null> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof LoginError && ENDED.has(error.code)) return null;
    throw error;
  }
}

/** A refresh token counts once: two tabs that show it at the same time would end the session. */
function locked<T>(act: () => Promise<T>): Promise<T> {
  return navigator.locks ? navigator.locks.request(SIGNED_IN, act) : act();
}

function remember(signedIn: boolean): void {
  if (signedIn) localStorage.setItem(SIGNED_IN, "1");
  else localStorage.removeItem(SIGNED_IN);
}

const remembered = (): boolean => localStorage.getItem(SIGNED_IN) !== null;
