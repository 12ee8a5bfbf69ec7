/** The part of EIP-1193 that a sign-in needs. */
export interface Provider {
  request(call: { method: string; params?: readonly unknown[] }): Promise<unknown>;
  on?(event: string, listener: (value: never) => void): unknown;
  removeListener?(event: string, listener: (value: never) => void): unknown;
}

/** A wallet of the browser, as it announces itself (EIP-6963). */
export interface Wallet {
  readonly info: {
    readonly uuid: string;
    readonly name: string;
    readonly icon: string;
    readonly rdns: string;
  };
  readonly provider: Provider;
}

const ANNOUNCE = "eip6963:announceProvider";
const REQUEST = "eip6963:requestProvider";

/** Calls `found` for each wallet once, now and when one comes later; returns what ends that. */
export function watchWallets(found: (wallet: Wallet) => void): () => void {
  const known = new Set<string>();
  const listen = (event: Event): void => {
    const wallet = (event as CustomEvent<Wallet>).detail;
    if (!isWallet(wallet) || known.has(wallet.info.uuid)) return;
    known.add(wallet.info.uuid);
    found(wallet);
  };
  window.addEventListener(ANNOUNCE, listen);
  window.dispatchEvent(new Event(REQUEST));
  return () => window.removeEventListener(ANNOUNCE, listen);
}

/** Returns the wallets that answer within so many milliseconds. */
export async function discoverWallets(waitMs = 100): Promise<Wallet[]> {
  const wallets: Wallet[] = [];
  const stop = watchWallets((wallet) => wallets.push(wallet));
  await new Promise((done) => setTimeout(done, waitMs));
  stop();
  return wallets;
}

/** Calls `changed` with the account that a wallet uses from then on, or null; returns what ends that. */
export function watchAccount(wallet: Wallet, changed: (account: string | null) => void): () => void {
  const { provider } = wallet;
  const listen = (accounts: readonly string[]): void => changed(accounts[0] ?? null);
  provider.on?.("accountsChanged", listen);
  return () => void provider.removeListener?.("accountsChanged", listen);
}

// any script of the page may announce
function isWallet(value: Wallet | null | undefined): value is Wallet {
  return typeof value?.info?.uuid === "string" && typeof value.provider?.request === "function";
}
