// Every way in which a person signs in, in a real browser: `node scenarios.mjs CONFIG`.
// Prints one line of JSON for each scenario, {name, error}.
import assert from "node:assert/strict";
import { launch, person, tell } from "./page.mjs";

const config = JSON.parse(process.argv[2]);
const { site, evil, react, control } = config;
const HOUR = 3_600;
const browser = await launch(config.chromium);

const define = (wallet, values) => tell(control, "define", { wallet, ...values });
const advance = (seconds) => tell(control, "advance", { seconds });

/** A page of the site and how to use it. */
class Page {
  static async open(context, url = site) {
    const page = new Page();
    page.page = await context.newPage();
    await page.page.goto(url);
    await page.page.waitForFunction(() => document.querySelector("#status")?.textContent.includes("igned in"));
    return page;
  }
  async enter(wallet) {
    await this.page.click(`[data-wallet="${wallet}"]`);
  }
  async isIn(address) {
    await this.says("#status", `Signed in as ${address}`);
  }
  async isOut() {
    await this.says("#status", "Not signed in");
  }
  async says(where, text) {
    try {
      await this.page.waitForFunction(
        ([where, text]) => document.querySelector(where)?.textContent.startsWith(text),
        [where, text],
        { timeout: 15_000 },
      );
    } catch (cause) {
      const found = await this.page.locator("body").innerText();
      throw new Error(`${where} does not say ${text}: ${found}`, { cause });
    }
  }
  async reload() {
    await this.page.reload();
  }
  fetch(path, init = {}) {
    return this.page.evaluate(
      async ([path, init]) => {
        const answer = await fetch(path, init);
        return { status: answer.status, body: await answer.json() };
      },
      [path, init],
    );
  }
}

async function signedIn(wallet, values = { name: wallet }) {
  const { address } = await define(wallet, values);
  const context = await person(browser, control, [wallet]);
  const page = await Page.open(context);
  await page.enter(wallet);
  await page.isIn(address);
  return { address, context, page };
}

/** A message and its signature, made in the page but not sent. */
const signedMessage = (page, wallet, changes = {}) =>
  page.page.evaluate(
    async ([wallet, changes]) => {
      const { discoverWallets, writeMessage, checksum } = await import("/bundle/login.js");
      const found = (await discoverWallets()).find(({ info }) => info.rdns === wallet);
      const [account] = await found.provider.request({ method: "eth_requestAccounts" });
      const { nonce } = await (await fetch("/siwe/nonce", { method: "POST" })).json();
      const message = writeMessage({
        domain: location.host,
        address: checksum(account),
        uri: location.origin,
        chainId: 1,
        nonce,
        issuedAt: new Date().toISOString(),
        ...changes,
      });
      const hex = "0x" + [...new TextEncoder().encode(message)].map((b) => b.toString(16).padStart(2, "0")).join("");
      const signature = await found.provider.request({ method: "personal_sign", params: [hex, account] });
      return { message, signature };
    },
    [wallet, changes],
  );

const verify = (page, body) =>
  page.fetch("/siwe/verify", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

const scenarios = {
  async "login and session"() {
    const { address, context, page } = await signedIn("login");
    await page.page.click("#greet");
    await page.says("#greeting", `Hello, ${address}`);
    assert.equal(await page.page.evaluate(() => document.cookie), "");
    await page.reload();
    await page.isIn(address);
    const cookies = await context.cookies();
    assert.equal(cookies.length, 3);
    for (const cookie of cookies) {
      assert.ok(cookie.name.startsWith("__Host-") && cookie.httpOnly && cookie.secure, cookie.name);
    }
    const other = await Page.open(await person(browser, control, ["login"]));
    await other.isOut();
  },

  async "refresh"() {
    const { address, context, page } = await signedIn("refresh");
    const before = await context.cookies();
    await advance(2 * HOUR);
    assert.equal((await page.fetch("/siwe/session")).status, 401);
    await page.reload();
    await page.isIn(address);
    const after = await context.cookies();
    const value = (jar, name) => jar.find((cookie) => cookie.name === name).value;
    for (const name of ["__Host-psp-session", "__Host-psp-refresh"]) {
      assert.notEqual(value(before, name), value(after, name));
    }
  },

  async "two tabs refresh at once"() {
    const { address, context, page } = await signedIn("tabs");
    const other = await Page.open(context);
    await other.isIn(address);
    await advance(2 * HOUR);
    const sessions = [page, other].map((tab) =>
      tab.page.evaluate(async () => (await import("/bundle/login.js")).session()),
    );
    for (const user of await Promise.all(sessions)) assert.equal(user?.walletAddress, address);
  },

  async "logout"() {
    const { context, page } = await signedIn("logout");
    const stolen = await context.cookies();
    await page.page.click("#out");
    await page.isOut();
    await page.reload();
    await page.isOut();
    const thief = await person(browser, control, []);
    await thief.addCookies(stolen);
    await (await Page.open(thief)).isOut();
  },

  async "logout everywhere"() {
    const first = await signedIn("everywhere");
    const second = await person(browser, control, ["everywhere"]);
    const other = await Page.open(second);
    await other.enter("everywhere");
    await other.isIn(first.address);
    await first.page.page.click("#everywhere");
    await first.page.isOut();
    await other.reload();
    await other.isOut();
  },

  async "rejected signature"() {
    await define("rejects", { name: "rejects", rejects: true });
    const page = await Page.open(await person(browser, control, ["rejects"]));
    await page.enter("rejects");
    await page.says("#error", "user-rejected");
    await page.isOut();
  },

  async "two wallets announced"() {
    await define("first", { name: "first" });
    const { address } = await define("second", { name: "second" });
    const page = await Page.open(await person(browser, control, ["first", "second"]));
    assert.equal(await page.page.locator("[data-wallet]").count(), 2);
    await page.enter("second");
    await page.isIn(address);
  },

  async "wrong domain"() {
    // The victim signs on the attacker's page; the attacker takes it to the site.
    await define("victim", { name: "victim" });
    const lured = await Page.open(await person(browser, control, ["victim"]), evil);
    const ours = new URL(site);
    const direct = `http://127.0.0.1:${ours.port}`; // Node has no names under localhost
    const nonce = await fetch(`${direct}/siwe/nonce`, { method: "POST" });
    const cookie = nonce.headers.getSetCookie()[0].split(";")[0];
    const send = async (changes) => {
      const found = await signedMessage(lured, "victim", { nonce: (await nonce.clone().json()).nonce, ...changes });
      const answer = await fetch(`${direct}/siwe/verify`, {
        method: "POST",
        headers: { "content-type": "application/json", cookie },
        body: JSON.stringify(found),
      });
      return [answer.status, (await answer.json()).code];
    };
    assert.deepEqual(await send({}), [401, "domain-mismatch"]);
    assert.deepEqual(await send({ uri: site }), [401, "domain-mismatch"]);
    assert.deepEqual(await send({ domain: ours.host }), [401, "uri-mismatch"]);
    // and the attacker's page cannot talk to the site in the victim's browser
    const code = await lured.page.evaluate(async (base) => {
      const { discoverWallets, signIn } = await import("/bundle/login.js");
      const [wallet] = await discoverWallets();
      return signIn(wallet, { base }).then(() => "in", (error) => error.code);
    }, site);
    assert.equal(code, "unreachable");
  },

  async "wrong chain"() {
    await define("chain", { name: "chain", chain_id: 137 });
    const page = await Page.open(await person(browser, control, ["chain"]));
    await page.enter("chain");
    await page.says("#error", "chain-id-mismatch");
    const attempt = (chainId) =>
      page.page.evaluate(async (chainId) => {
        const { discoverWallets, signIn } = await import("/bundle/login.js");
        const [wallet] = await discoverWallets();
        return signIn(wallet, { chainId }).then(({ user }) => user.chainId, (error) => error.code);
      }, chainId);
    assert.equal(await attempt(1), 1);
    await define("chain", { name: "chain", chain_id: 137, switches: false });
    assert.equal(await attempt(1), "wrong-chain");
  },

  async "replayed nonce, two tabs racing"() {
    await define("race", { name: "race" });
    const context = await person(browser, control, ["race"]);
    const tabs = [await Page.open(context), await Page.open(context)];
    for (let round = 0; round < 5; round++) {
      const body = await signedMessage(tabs[0], "race");
      const answers = await Promise.all(tabs.map((tab) => verify(tab, body)));
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 401]);
      assert.equal(answers.find(({ status }) => status === 401).body.code, "nonce-spent");
      assert.equal((await verify(tabs[1], body)).body.code, "nonce-spent");
    }
  },

  async "expired"() {
    await define("slow", { name: "slow", thinks: 61 });
    const page = await Page.open(await person(browser, control, ["slow"]));
    const attempt = (options) =>
      page.page.evaluate(async (options) => {
        const { discoverWallets, signIn } = await import("/bundle/login.js");
        const [wallet] = await discoverWallets();
        return signIn(wallet, options).then(() => "in", (error) => error.code);
      }, options);
    assert.equal(await attempt({ expiresIn: 60 }), "message-expired");
    await advance(null);
    assert.equal(await attempt({ expiresIn: 3_600 }), "in");
    await define("slow", { name: "slow", thinks: 901 });
    assert.equal(await attempt({}), "invalid-nonce");
  },

  async "account switched"() {
    const { page } = await signedIn("switch");
    const other = await define("switch", { name: "another" });
    await page.page.evaluate((account) => window.walletAccounts.switch([account]), other.address.toLowerCase());
    await page.isOut();
    await page.enter("switch");
    await page.isIn(other.address);
    await page.page.evaluate(() => window.walletAccounts.switch([]));
    await page.isOut();
    // the wallet names one account and signs with another
    await define("switch", { name: "another", shows: "switch" });
    await page.enter("switch");
    await page.says("#error", "siwe-signature");
  },

  async "contract wallet, and its owner changes"() {
    const values = { name: "owner", kind: "contract", chain_id: config.chain };
    const { address, page } = await signedIn("contract", values);
    await advance(901);
    await page.reload();
    await page.isIn(address);
    await tell(control, "hand_over", { wallet: "contract" });
    await advance(901);
    await page.reload();
    await page.isOut();
    await page.enter("contract");
    await page.says("#error", "siwe-signature");
  },

  async "contract wallet that is not deployed"() {
    const values = { name: "later", kind: "counterfactual", chain_id: config.chain };
    const { address, page } = await signedIn("counterfactual", values);
    const stored = (await page.fetch("/siwe/me")).body;
    assert.equal(stored.sessions[0].signatureKind, "counterfactual");
    await advance(901);
    await page.reload();
    await page.isIn(address);
  },

  async "account that points at a contract"() {
    const values = { name: "designated", kind: "designated", chain_id: config.chain };
    const { address, page } = await signedIn("designated", values);
    const stored = (await page.fetch("/siwe/me")).body;
    assert.equal(stored.sessions[0].signatureKind, "designated");
    await advance(901);
    await page.reload();
    await page.isIn(address);
  },

  async "one signature logs in and grants a delegation"() {
    const { address } = await define("grant", { name: "grant" });
    const page = await Page.open(await person(browser, control, ["grant"]));
    const delegation = await tell(control, "delegation", { wallet: "grant" });
    const attempt = (delegation) =>
      page.page.evaluate(async (delegation) => {
        const { discoverWallets, signIn } = await import("/bundle/login.js");
        const [wallet] = await discoverWallets();
        return signIn(wallet, { delegation }).catch((error) => error.code);
      }, delegation);
    const login = await attempt(delegation);
    assert.equal(login.user.walletAddress, address);
    const granted = await tell(control, "granted", { wallet: "grant", grant: login.grant });
    assert.deepEqual(granted, { kind: "PLAIN", device: true });
    const { signed } = await tell(control, "count", { wallet: "grant" });
    assert.equal(signed, 1);
    const other = { ...delegation, message: { ...delegation.message, account: "0x" + "11".repeat(20) } };
    assert.equal(await attempt(other), "other-account");
  },

  async "show and delete what is stored"() {
    const { address, page } = await signedIn("stored");
    const { body } = await page.fetch("/siwe/me");
    assert.equal(body.account, address);
    assert.equal(body.sessions.length, 1);
    assert.equal((await page.fetch("/siwe/me", { method: "DELETE" })).status, 200);
    await page.reload();
    await page.isOut();
  },

  async "the React page"() {
    const { address } = await define("react", { name: "react" });
    const page = await Page.open(await person(browser, control, ["react"]), react);
    await page.enter("react");
    await page.isIn(address);
    await page.reload();
    await page.isIn(address);
    await page.page.click("#out");
    await page.isOut();
    await page.enter("react");
    await page.isIn(address);
    await page.page.evaluate(() => window.walletAccounts.react(["0x" + "11".repeat(20)]));
    await page.isOut();
    await define("react", { name: "react", rejects: true });
    await page.enter("react");
    await page.says("#error", "user-rejected");
  },

  async "another site's page frames, posts and scripts in vain"() {
    const { address, context, page } = await signedIn("csrf");
    const attacker = await Page.open(context, evil);
    await attacker.page.evaluate((site) => {
      const frame = document.createElement("iframe");
      frame.src = site;
      document.body.append(frame);
      return new Promise((done) => (frame.onload = done));
    }, site).catch(() => undefined);
    const framed = attacker.page.frames().filter((frame) => frame !== attacker.page.mainFrame());
    assert.equal(framed.length, 1);
    for (const frame of framed) assert.equal(await frame.locator("#status").count(), 0);
    // fetches that need no preflight, with the victim's cookies where the browser sends them
    const tried = await attacker.page.evaluate(async (site) => {
      const send = (path, method, init = {}) =>
        fetch(site + path, { method, mode: "no-cors", credentials: "include", ...init }).then(
          (answer) => answer.type,
          () => "blocked",
        );
      const text = { headers: { "content-type": "text/plain" }, body: '{"message":"a","signature":"0x"}' };
      return [
        await send("/siwe/logout", "POST"),
        await send("/siwe/logout/all", "POST"),
        await send("/siwe/refresh", "POST"),
        await send("/siwe/verify", "POST", text),
      ];
    }, site);
    assert.equal(tried.includes("basic"), false);
    // a form, which leaves the page
    await attacker.page.evaluate((site) => {
      const form = document.createElement("form");
      Object.assign(form, { method: "POST", action: `${site}/siwe/logout/all` });
      document.body.append(form);
      form.submit();
    }, site).catch(() => undefined);
    await attacker.page.waitForTimeout(500);
    await page.reload();
    await page.isIn(address);
    // the site's own page runs no script that somebody wrote into it
    const ran = await page.page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "window.injected = true";
      document.body.append(script);
      const image = document.createElement("img");
      image.setAttribute("onerror", "window.injected = true");
      image.src = "x:";
      document.body.append(image);
      return new Promise((done) => setTimeout(() => done(Boolean(window.injected)), 200));
    });
    assert.equal(ran, false);
  },

  async "a neighbour cannot plant a cookie"() {
    // The evil page is a sibling under the same parent domain.
    const { address, context, page } = await signedIn("toss");
    const attacker = await Page.open(context, evil);
    await attacker.page.evaluate(() => {
      for (const name of ["__Host-psp-login", "__Host-psp-session"]) {
        document.cookie = `${name}=planted; Secure; Path=/; Domain=localhost`;
        document.cookie = `${name}=planted; Path=/siwe`;
      }
    });
    const jar = await context.cookies(site);
    assert.equal(jar.some((cookie) => cookie.value === "planted"), false);
    await page.reload();
    await page.isIn(address);
  },
};

for (const [name, play] of Object.entries(scenarios)) {
  let error = null;
  try {
    await advance(null);
    await play();
  } catch (cause) {
    error = String(cause?.stack ?? cause);
  }
  for (const context of browser.contexts()) await context.close();
  console.log(JSON.stringify({ name, error }));
}
await browser.close();
