// Chromium on the pages of two addresses: `node scenarios.mjs CONFIG`; one JSON object a scenario.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const { alice, bob, dead, elsewhere, caller, confining, executablePath, shots } = JSON.parse(process.argv[2]);
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
];
const browser = await chromium.launch({ executablePath, args: FLAGS });
const context = await browser.newContext({ viewport: { width: 900, height: 700 } });

async function open(url) {
  const page = await context.newPage();
  const answer = await page.goto(url);
  return { page, status: answer.status() };
}

const seen = (page) => page.evaluate(async () => (await fetch("/seen")).json());

async function bothSideBySide() {
  for (const [url, name] of [[alice, "Alice"], [bob, "Bob"]]) {
    const { page, status } = await open(url);
    assert.equal(status, 200);
    assert.equal(await page.textContent("h1"), `${name}'s page`);
    assert.equal(await page.textContent("#peer"), caller);
    assert.equal(await page.evaluate(() => isSecureContext), true);
    await page.close();
  }
}

async function cookiesDoNotCross() {
  const { page } = await open(alice);
  await page.evaluate(async () => {
    await fetch("/set");
    document.cookie = "script=alice";
    document.cookie = "wide=alice; domain=localhost";
  });
  assert.deepEqual((await seen(page)).cookies, { own: "Alice", tossed: "Alice", script: "alice" });
  const other = (await open(bob)).page;
  assert.equal(await other.evaluate(() => document.cookie), "");
  assert.deepEqual((await seen(other)).cookies, {});
  await page.close();
  await other.close();
}

async function storageDoesNotCross() {
  const { page } = await open(alice);
  await page.evaluate(async () => {
    localStorage.setItem("name", "alice");
    await caches.open("alice");
  });
  const other = (await open(bob)).page;
  const found = await other.evaluate(async () => [localStorage.length, (await caches.keys()).length]);
  assert.deepEqual(found, [0, 0]);
  await page.close();
  await other.close();
}

async function workersDoNotCross() {
  const { page } = await open(alice);
  await page.evaluate(async () => {
    await navigator.serviceWorker.register("/sw.js");
    await navigator.serviceWorker.ready;
    if (!navigator.serviceWorker.controller)
      await new Promise((done) => navigator.serviceWorker.addEventListener("controllerchange", done));
  });
  const ask = async () => {
    const answer = await fetch("/from-worker");
    return [answer.status, await answer.text()];
  };
  assert.deepEqual(await page.evaluate(ask), [200, "the worker of Alice"]);
  const other = (await open(bob)).page;
  assert.deepEqual(await other.evaluate(ask), [404, ""]);
  const all = () => navigator.serviceWorker.getRegistrations().then((found) => found.length);
  assert.equal(await other.evaluate(all), 0);
  await page.close();
  await other.close();
}

async function cameraAndWebSocket() {
  const { page } = await open(alice);
  const tracks = await page.evaluate(async () => {
    const stream = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
    const video = document.querySelector("video");
    video.srcObject = stream;
    await video.play();
    document.querySelector("#camera").textContent = `${video.videoWidth}×${video.videoHeight}`;
    return stream.getTracks().map((track) => track.kind).sort();
  });
  assert.deepEqual(tracks, ["audio", "video"]);
  const echo = await page.evaluate(
    () =>
      new Promise((done, failed) => {
        const socket = new WebSocket(`ws://${location.host}/ws`);
        socket.onopen = () => socket.send("hello");
        socket.onerror = () => failed(new Error("no WebSocket"));
        socket.onmessage = (event) => {
          document.querySelector("#socket").textContent = event.data;
          done(event.data);
        };
      }),
  );
  assert.equal(echo, `${caller} hello`);
  await page.screenshot({ path: `${shots}/page.png` });
  await page.close();
}

async function otherPagesCannotCall() {
  const { page } = await open(`${elsewhere}foreign`);
  await page.evaluate(async (url) => {
    const host = new URL(url).host;
    await fetch(`${url}fetched`, { mode: "no-cors", credentials: "include" }).catch(() => {});
    await fetch(`${url}posted`, { method: "POST", mode: "no-cors", body: "x" }).catch(() => {});
    await new Promise((done) => {
      const socket = new WebSocket(`ws://${host}/ws`);
      socket.onerror = socket.onopen = (event) => done(event.type);
    }).then((how) => {
      if (how !== "error") throw new Error("a WebSocket was opened");
    });
  }, alice);
  await page.click("#link");
  await page.waitForURL(`${alice}?visitor=17`);
  assert.match(await page.textContent("p"), /Another page wants to open/);
  await page.screenshot({ path: `${shots}/asked.png` });
  await page.click("a");
  await page.waitForSelector("#peer");
  assert.equal(await page.textContent("#peer"), caller);
  await page.close();
  const other = (await open(bob)).page;
  const reached = await other.evaluate(
    (url) => fetch(`${url}neighbour`, { mode: "no-cors" }).then(() => true, () => false),
    alice,
  );
  assert.equal(reached, false);
  await other.close();
}

async function pagesReachNobodyElse() {
  const { page } = await open(bob);
  await page.evaluate(async (url) => {
    const load = (tag, set) =>
      new Promise((done) => {
        const element = Object.assign(document.createElement(tag), set);
        element.onload = element.onerror = done;
        document.body.append(element);
        setTimeout(done, 500);
      });
    await load("img", { src: `${url}img` });
    await load("script", { src: `${url}script` });
    await load("iframe", { src: `${url}iframe` });
    await load("link", { rel: "stylesheet", href: `${url}css` });
    await load("link", { rel: "prefetch", href: `${url}prefetch` });
    await fetch(`${url}fetch`, { mode: "no-cors" }).catch(() => {});
    navigator.sendBeacon(`${url}beacon`, "x");
    new EventSource(`${url}events`).onerror = () => {};
    new WebSocket(url.replace("http", "ws") + "socket").onerror = () => {};
    const form = Object.assign(document.createElement("form"), { action: `${url}form`, method: "post" });
    document.body.append(form);
    form.submit();
  }, elsewhere);
  await page.close();
}

async function whatFailsIsAPage() {
  const { page, status } = await open(dead);
  assert.equal(status, 502);
  assert.match(await page.textContent("p"), /Connection refused/);
  await page.screenshot({ path: `${shots}/refused.png` });
  await page.close();
  const nobody = await open(alice.replace(/0x[0-9a-f]{40}/, "alice"));
  assert.equal(nobody.status, 404);
  await nobody.page.close();
}

// What headers cannot prevent: the window sent elsewhere, WebRTC (docs/expose.md has these flags).
async function nothingLeavesABrowserBehindTheFront() {
  const outside = new URL(elsewhere);
  const args = [
    ...FLAGS,
    `--host-resolver-rules=MAP elsewhere.test ${outside.hostname}`,
    ...confining,
  ];
  const confined = await chromium.launch({ executablePath, args });
  try {
    await behindTheFront(await confined.newPage(), `http://elsewhere.test:${outside.port}/window`);
  } finally {
    await confined.close();
  }
}

async function behindTheFront(page, outside) {
  assert.equal((await page.goto(alice)).status(), 200);
  const candidates = await page.evaluate(async () => {
    const peer = new RTCPeerConnection({ iceServers: [{ urls: "stun:127.0.0.1:9" }] });
    const found = [];
    peer.onicecandidate = (event) => event.candidate && found.push(event.candidate.candidate);
    peer.createDataChannel("x");
    await peer.setLocalDescription(await peer.createOffer());
    await new Promise((done) => setTimeout(done, 1_000));
    return found;
  });
  assert.deepEqual(candidates, []);
  await assert.rejects(page.goto(outside), /ERR_SOCKS/);
}

const late = () =>
  new Promise((_, failed) => setTimeout(() => failed(new Error("not over in 60 s")), 60_000).unref());

for (const scenario of [
  bothSideBySide,
  cookiesDoNotCross,
  storageDoesNotCross,
  workersDoNotCross,
  cameraAndWebSocket,
  otherPagesCannotCall,
  pagesReachNobodyElse,
  whatFailsIsAPage,
  nothingLeavesABrowserBehindTheFront,
]) {
  let error = null;
  try {
    await Promise.race([scenario(), late()]);
  } catch (caught) {
    error = caught.stack;
  }
  console.log(JSON.stringify({ name: scenario.name, error }));
}
await browser.close();
process.exit(0); // whatever a scenario left open
