import { LoginError, session, signIn, signOut, watchAccount, watchWallets } from "/bundle/login.js";

const part = (id) => document.getElementById(id);
const options = { statement: "Sign in to the example." };
let stopWatching = () => {};

function show(user) {
  part("status").textContent = user ? `Signed in as ${user.walletAddress}` : "Not signed in";
  part("wallets").hidden = Boolean(user);
  for (const id of ["greet", "out", "everywhere"]) part(id).hidden = !user;
  part("greeting").textContent = "";
}

async function attempt(act) {
  part("error").textContent = "";
  try {
    show(await act());
  } catch (error) {
    if (!(error instanceof LoginError)) throw error;
    part("error").textContent = `${error.code}: ${error.message}`;
  }
}

async function enter(wallet) {
  const { user } = await signIn(wallet, options);
  stopWatching();
  stopWatching = watchAccount(wallet, (account) => {
    // whoever changes to another account has left this one
    if (account?.toLowerCase() !== user.walletAddress.toLowerCase()) void attempt(leave);
  });
  return user;
}

async function leave(how) {
  await signOut(how);
  return null;
}

watchWallets((wallet) => {
  const button = document.createElement("button");
  button.textContent = `Sign in with ${wallet.info.name}`;
  button.dataset.wallet = wallet.info.rdns;
  button.onclick = () => attempt(() => enter(wallet));
  part("wallets").append(button);
});
part("out").onclick = () => attempt(() => leave());
part("everywhere").onclick = () => attempt(() => leave({ everywhere: true }));
part("greet").onclick = async () => {
  const answer = await (await fetch("/api/greeting")).json();
  part("greeting").textContent = answer.greeting ?? `${answer.code}: ${answer.detail}`;
};
void attempt(() => session());
