// Finds the wallets of this browser (EIP-6963) and has one sign what `psp` asks for. Nothing else is loaded.

const part = (id) => document.getElementById(id);
const KEYS = new Set(["Account", "Identity key", "Network"]);
const REJECTED = 4001; // EIP-1193: the person said no
const known = new Set();
let asked;

function say(status, error = "") {
  part("status").textContent = status;
  part("error").textContent = error;
}

function idle(free) {
  for (const button of document.querySelectorAll("button")) button.disabled = !free;
}

async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  const answer = await fetch(path, { cache: "no-store", redirect: "error", ...options }).catch(() => null);
  if (!answer || answer.status === 410) throw new Error("The command has ended. Run it again, and open its new page.");
  const found = await answer.json();
  if (!answer.ok) throw new Error(`psp refused it: ${found.detail}`);
  return found;
}

function finish(text) {
  part("choice").hidden = true;
  say(text);
}

async function sign(provider) {
  const account = asked.typed.message.account;
  const accounts = await provider.request({ method: "eth_requestAccounts" });
  if (!accounts.some((each) => each.toLowerCase() === account.toLowerCase())) {
    throw new Error(`The wallet offers ${accounts[0] ?? "no account"}. Choose ${account} in it, and try again.`);
  }
  const params = [account, JSON.stringify(asked.typed)];
  const signature = await provider.request({ method: "eth_signTypedData_v4", params });
  await ask("signature", { signature });
  finish("Signed. You may close this page.");
}

async function attempt(act, meanwhile) {
  idle(false);
  say(meanwhile);
  try {
    await act();
  } catch (error) {
    const refused = error?.code === REJECTED;
    say("", refused ? "You said no in the wallet. Nothing was signed." : String(error?.message ?? error).slice(0, 300));
    idle(true);
  }
}

function offer(id, name, provider) {
  if (known.has(id) || typeof provider?.request !== "function") return;
  known.add(id);
  part("none").hidden = true;
  const button = document.createElement("button");
  button.textContent = String(name).slice(0, 60);
  button.onclick = () => attempt(() => sign(provider), "Look at your wallet: it asks you.");
  part("wallets").append(button);
}

function show(words) {
  for (const [name, value] of words) {
    const row = document.createElement("div");
    const [term, description] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    description.textContent = value;
    if (KEYS.has(name)) description.className = "key";
    row.append(term, description);
    part("words").append(row);
  }
}

async function begin() {
  asked = await ask("request");
  show(asked.words);
  // any script of the page may announce, so nothing of it is taken for markup
  addEventListener("eip6963:announceProvider", ({ detail }) => {
    if (typeof detail?.info?.uuid === "string") offer(detail.info.uuid, detail.info.name, detail.provider);
  });
  dispatchEvent(new Event("eip6963:requestProvider"));
  setTimeout(() => {
    if (known.size === 0 && window.ethereum) offer("window.ethereum", "The wallet of this browser", window.ethereum);
    part("none").hidden = known.size > 0;
  }, 800);
}

part("decline").onclick = () =>
  attempt(async () => {
    await ask("decline", {});
    finish("Nothing was signed. You may close this page.");
  }, "");
begin().catch((error) => {
  part("choice").hidden = true;
  say("", error.message);
});
