// What people do on the wallet's page, in a real browser: `node scenarios.mjs CONFIG`.
// Prints one line of JSON for each scenario, {name, error}. Each begins a `psp id new` of its own.
import assert from "node:assert/strict";
import { launch, person, tell } from "../login/browser/page.mjs";

const config = JSON.parse(process.argv[2]);
const { control, evil } = config;
const browser = await launch(config.chromium);

const begin = async () => (await tell(control, "begin", {})).url;
const end = () => tell(control, "end", {});
const behave = (wallet, values) => tell(control, "behave", { wallet, ...values });

async function opened(url, wallets = ["good"]) {
  const context = await person(browser, control, wallets);
  const page = await context.newPage();
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(url);
  await page.locator("#words dd").first().waitFor();
  return { context, page, asked };
}

const press = (page, wallet) => page.getByRole("button", { name: `Wallet ${wallet}` }).click();
const says = (page, role, text) => page.getByRole(role).filter({ hasText: text }).waitFor();

const scenarios = {
  "sign": async () => {
    const url = await begin();
    const { page, asked } = await opened(url);
    const words = await page.locator("#words").innerText();
    for (const part of ["receive and make private connections", config.account, "my laptop", "UTC"]) {
      assert.ok(words.includes(part), part);
    }
    await page.screenshot({ path: config.picture });
    await press(page, "good");
    await says(page, "status", "Signed.");
    assert.deepEqual(asked.filter((each) => !each.startsWith(new URL(url).origin)), []);
    assert.equal((await end()).account, config.account);
    await assert.rejects(page.goto(url), /ERR_CONNECTION_REFUSED/);
  },
  "reject in the wallet, then sign": async () => {
    await behave("good", { rejects: true });
    const { page } = await opened(await begin());
    await press(page, "good");
    await says(page, "alert", "You said no in the wallet. Nothing was signed.");
    await behave("good", { rejects: false });
    await press(page, "good");
    await says(page, "status", "Signed.");
    assert.equal((await end()).account, config.account);
  },
  "a wallet with another account": async () => {
    const { page } = await opened(await begin(), ["other", "good"]);
    await press(page, "other");
    await says(page, "alert", `Choose ${config.account} in it, and try again.`);
    await press(page, "good");
    await says(page, "status", "Signed.");
    assert.equal((await end()).account, config.account);
  },
  "a wallet that signs with another key": async () => {
    const { page } = await opened(await begin(), ["liar", "good"]);
    await press(page, "liar");
    await says(page, "alert", "psp refused it");
    await press(page, "good");
    await says(page, "status", "Signed.");
    assert.equal((await end()).account, config.account);
  },
  "decline": async () => {
    const { page } = await opened(await begin());
    await page.getByRole("button", { name: "Do not sign" }).click();
    await says(page, "status", "Nothing was signed.");
    assert.equal((await end()).error.name, "WalletDeclinedError");
  },
  "no wallet": async () => {
    const { page } = await opened(await begin(), []);
    await page.getByText("No wallet was found in this browser.").waitFor();
    await page.getByRole("button", { name: "Do not sign" }).click();
    await says(page, "status", "Nothing was signed.");
    await end();
  },
  "a page of another site": async () => {
    const url = await begin();
    const { page } = await opened(url);
    const other = await (await person(browser, control, [])).newPage();
    await other.goto(evil);
    const tried = await other.evaluate(async (target) => {
      const body = JSON.stringify({});
      const json = { method: "POST", body, headers: { "content-type": "application/json" } };
      const seen = [];
      for (const options of [json, { method: "POST", body, mode: "no-cors" }, { ...json, method: "GET", body: undefined }]) {
        const name = options.method === "GET" ? "request" : "decline";
        seen.push(await fetch(target + name, options).then((answer) => answer.type, () => "refused"));
      }
      const frame = document.createElement("iframe");
      frame.src = target;
      document.body.append(frame);
      await new Promise((done) => (frame.onload = done));
      let readable = true;
      try {
        readable = Boolean(frame.contentDocument?.querySelector("#words"));
      } catch {
        readable = false;
      }
      const form = document.createElement("form");
      Object.assign(form, { method: "post", action: `${target}decline`, target: "_blank", enctype: "text/plain" });
      document.body.append(form);
      form.submit();
      return { seen, readable };
    }, url);
    assert.deepEqual(tried, { seen: ["refused", "opaque", "refused"], readable: false });
    const frame = other.frames().find((each) => each !== other.mainFrame());
    assert.equal(await frame.locator("#words").count(), 0);
    await press(page, "good");
    await says(page, "status", "Signed.");
    assert.equal((await end()).account, config.account);
  },
};

for (const [name, play] of Object.entries(scenarios)) {
  let error = null;
  try {
    await play();
  } catch (cause) {
    error = String(cause?.stack ?? cause);
    await end();
  }
  console.log(JSON.stringify({ name, error }));
}
await browser.close();
