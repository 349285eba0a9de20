// A real browser on the scene: Debian's Chromium, driven by playwright-core.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { password } from "./scene.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const tools = createRequire(join(root, "target/tools/"));
const { chromium } = tools("playwright-core");
const AxeBuilder = tools("@axe-core/playwright").default;
const looks = [["light", 1280], ["dark", 1920], ["light", 360], ["dark", 360]];
// Tablets and halves of screens.
const between = [600, 780, 1024, 1150];
const rules = { runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }, resultTypes: ["violations"] };

// The paths of the pages that axe has looked at.
const looked = new Set();

// Requires that axe has looked at a page of each route of `modules` that shows one, but for those of `without`.
export function mustHaveLookedAtAll(modules, without) {
  const named = { HOME: "/operator", ACCOUNT: "/account" };
  const routes = modules.flatMap((module) => readFileSync(join(root, "src/web", module), "utf8").split(".route(").slice(1))
    .filter((text) => /\bget\(/.test(text.split("\n}")[0]))
    .map((text) => text.match(/^\s*"([^"]+)"/)?.[1] ?? named[text.match(/^\s*(\w+)/)[1]]);
  const fits = (route, path) => {
    const [parts, is] = [route.split("/"), path.split("/")];
    return parts.length === is.length && parts.every((part, nth) => part === is[nth] || part.startsWith("{"));
  };
  // What is no page is looked at by nobody: a row of it that is out of date is noticed, too.
  const missing = routes.filter((route) => ![...looked].some((path) => fits(route, path)));
  assert.deepEqual(missing.sort(), [...without].sort());
}

// Requires of a page, light and dark, on a wide screen and a phone, that axe finds nothing to complain of, and that it is no wider than its
// window, of whatever size.
export async function mustBeAccessible(page, name = new URL(page.url()).pathname) {
  looked.add(new URL(page.url()).pathname);
  for (const [colorScheme, width] of looks) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    // No page has frames, so that there is nothing to be put together in a page of its own.
    const { violations } = await new AxeBuilder({ page }).options(rules).setLegacyMode().analyze();
    assert.deepEqual(violations.map(({ id, nodes: [{ html, any }] }) => [id, html, any[0]?.data]), [], `${name} ${colorScheme} ${width}`);
    await mustFit(page, name, width);
  }
  await page.emulateMedia({ colorScheme: "light" });
  for (const width of between) {
    await page.setViewportSize({ width, height: 800 });
    await mustFit(page, name, width);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
}

// Requires that a page is soon no wider than its window: charts follow it a frame later.
async function mustFit(page, name, width) {
  await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth, undefined, { timeout: 5_000 }).catch(async () => {
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.fail(`${name} is ${wider} px wider than its window of ${width}`);
  });
}

// A browser. To close it requires that none of its pages asked for what its own policy forbids.
export async function openBrowser() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
  const [newContext, close] = [browser.newContext.bind(browser), browser.close.bind(browser)];
  const violations = new Set();
  browser.newContext = async (options) => {
    const context = await newContext(options);
    context.on("console", (message) => {
      if (/Content.Security.Policy/i.test(message.text())) violations.add(`${message.page()?.url()}: ${message.text()}`);
    });
    return context;
  };
  browser.close = async () => {
    await close();
    assert.deepEqual([...violations], []);
  };
  return browser;
}

// A window of its own in which the operator with a key has signed in, or has tried to, on the way to the page `path`.
export async function operatorOf(browser, scene, { key = scene.key, path = "/operator" } = {}) {
  const page = await (await browser.newContext({ baseURL: scene.url, viewport: { width: 1280, height: 900 } })).newPage();
  await page.goto(path);
  await page.fill("input[name=key]", key);
  await page.click("main button");
  return page;
}

// The bytes over the wire of a page that a browser opens first of all, signed in as `page` is, with all that it loads but for the stream that stays
// open.
export async function firstLoad(page, path) {
  const [{ origin }, storageState] = [new URL(page.url()), await page.context().storageState()];
  const context = await page.context().browser().newContext({ baseURL: origin, storageState });
  const fresh = await context.newPage();
  const client = await context.newCDPSession(fresh);
  const underWay = new Set();
  let bytes = 0;
  client.on("Network.requestWillBeSent", ({ requestId, request }) => { if (!request.url.endsWith("/live")) underWay.add(requestId); });
  client.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => { if (underWay.delete(requestId)) bytes += encodedDataLength; });
  client.on("Network.loadingFailed", ({ requestId }) => underWay.delete(requestId));
  await client.send("Network.enable");
  const answer = await fresh.goto(path, { waitUntil: "load" });
  assert.deepEqual([answer.status(), new URL(fresh.url()).pathname], [200, path.split("?")[0]]);
  while (underWay.size > 0) await fresh.waitForTimeout(20);
  await context.close();
  return bytes;
}

// A window of its own in which `member` has joined, or signed in.
export async function signedIn(browser, scene, member, options = {}) {
  const context = await browser.newContext({ baseURL: scene.url, viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  if (!member.joined) {
    await page.goto(member.link);
    await page.fill("input[name=password]", password);
    await page.click("main button");
    member.joined = true;
  } else {
    await page.goto("/sign-in");
    await page.fill("input[name=mail]", member.mail);
    await page.fill("input[name=password]", password);
    await page.click("main button");
  }
  await page.waitForURL("**/tokens*");
  return page;
}

// Closes the window of a page, once the page is there: Chromium may never answer where one is closed while its page is being loaded.
export async function leave(page) {
  await page.waitForLoadState();
  await page.context().close();
}

// Goes from the page `start` to the simulated network and back, signed in there as `person`, who takes the scope `declined` out.
export async function consent(scene, page, start, { person = "person-1", declined, fault } = {}) {
  await page.goto(start);
  if (await page.locator("text=Agree and continue").count() === 0) await page.click("text=Continue");
  await page.click("text=/Agree and continue to/");
  await page.waitForURL(`${scene.networks}/**`);
  await page.fill("input[name=person]", person);
  if (declined) await page.check(`input[name=decline][value="${declined}"]`);
  // The network goes wrong between the consent and the broker's question for the token.
  if (fault) {
    await page.route(`${scene.networks}/**`, async (route) => {
      const response = await route.fetch({ maxRedirects: 0 });
      await scene.fault("x", fault);
      await route.fulfill({ response });
    });
  }
  await page.click("button[value=allow]");
  await page.waitForURL("**/connect/con_*");
  await page.unroute(`${scene.networks}/**`);
}
