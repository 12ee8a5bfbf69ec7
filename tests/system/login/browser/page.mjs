// A Chromium whose pages find wallets that are kept elsewhere, behind the control's address.
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const launch = (executablePath) => chromium.launch({ executablePath, args: FLAGS });

export async function tell(control, what, body) {
  const answer = await fetch(`${control}/${what}`, { method: "POST", body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${what}: ${answer.status}`);
  return answer.json();
}

/** A person's browser: its own cookies, and the wallets of these ids, announced by EIP-6963. */
export async function person(browser, control, wallets) {
  const context = await browser.newContext();
  await context.exposeFunction("walletRequest", (wallet, method, params) =>
    tell(control, "request", { wallet, method, params }),
  );
  await context.addInitScript(announce, wallets);
  return context;
}

// Runs in the page, as an extension's content script does.
function announce(wallets) {
  window.walletAccounts = {};
  for (const rdns of wallets) {
    const listeners = new Set();
    window.walletAccounts[rdns] = (accounts) => listeners.forEach((listen) => listen(accounts));
    const provider = {
      async request({ method, params = [] }) {
        const { result, error } = await window.walletRequest(rdns, method, params);
        if (error) throw Object.assign(new Error(error.message), { code: error.code });
        return result;
      },
      on: (event, listen) => event === "accountsChanged" && listeners.add(listen),
      removeListener: (_event, listen) => listeners.delete(listen),
    };
    const info = { uuid: crypto.randomUUID(), name: `Wallet ${rdns}`, icon: "data:,", rdns };
    const detail = Object.freeze({ info, provider });
    const say = () =>
      window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
    window.addEventListener("eip6963:requestProvider", say);
    say();
  }
}
