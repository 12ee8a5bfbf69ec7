// better-auth's own client, with its SIWE plugin, against our service: `node better-auth.mjs CONFIG`.
import { createAuthClient } from "better-auth/client";
import { siweClient } from "better-auth/client/plugins";
import { privateKeyToAccount } from "viem/accounts";
import { createSiweMessage } from "viem/siwe";

const { site, secret } = JSON.parse(process.argv[2]);
const account = privateKeyToAccount(secret);
const jar = new Map();

// Node keeps no cookies; a browser does.
const customFetchImpl = async (url, init) => {
  const headers = new Headers(init?.headers);
  headers.set("cookie", [...jar].map((pair) => pair.join("=")).join("; "));
  const answer = await fetch(url, { ...init, headers });
  for (const cookie of answer.headers.getSetCookie()) {
    const [name, value] = cookie.split(";")[0].split(/=(.*)/s);
    jar.set(name, value);
  }
  return answer;
};
const client = createAuthClient({
  baseURL: site,
  basePath: "/",
  plugins: [siweClient()],
  fetchOptions: { customFetchImpl },
});

const nonce = (await client.siwe.nonce({})).data.nonce;
const message = createSiweMessage({
  address: account.address,
  chainId: 1,
  domain: new URL(site).host,
  nonce,
  uri: site,
  version: "1",
});
const signature = await account.signMessage({ message });
const verified = (await client.siwe.verify({ message, signature })).data;
const replayed = (await client.siwe.verify({ message, signature })).error.status;
console.log(JSON.stringify({ nonce, verified, replayed }));
