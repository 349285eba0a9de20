// The operators' pages in a real browser, on the real program with simulated networks.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { AxeBuilder, openBrowser } from "./browse.mjs";
import { Scene } from "./scene.mjs";

let scene, browser, page, ids;

async function operator(key) {
  const window = await (await browser.newContext({ baseURL: scene.url, viewport: { width: 1280, height: 900 } })).newPage();
  await window.goto("/operator/leases");
  await window.fill("input[name=key]", key);
  await window.click("main button");
  return window;
}

before(async () => {
  scene = await Scene.open({ tokens: 24 });
  browser = await openBrowser();
  page = await operator(scene.key);
  await page.waitForURL("**/operator/leases");
  ids = scene.json("token list --team acme").map((token) => token.name.split("/").pop());
});

after(async () => {
  await browser?.close();
  await scene?.close();
});

test("only an operator's key signs in, and the browser does not keep it", async () => {
  const other = await operator("tbk_not_a_key");
  assert.match(await other.textContent("[role=alert]"), /no operator's key that works/);
  await other.context().close();
  const kept = await page.context().cookies();
  assert.ok(kept.every(({ name, value, httpOnly }) => name.startsWith("__Host-") && httpOnly && !scene.key.includes(value) && !value.includes(scene.key)));
});

test("an open page follows what is leased", async () => {
  await page.goto("/operator/leases");
  assert.match(await page.textContent("#leases"), /No lease is held/);
  scene.run("lease acquire --team acme --network x --operation users.get --calls 80 --purpose collect_statistics --collection brand-1");
  await page.waitForSelector("#leases td:has-text('brand-1')", { timeout: 20_000 });
  await page.click("#leases a[href*='/operator/pools/x?token=']");
  assert.match(await page.textContent("#books"), /users_get/);
  await page.goto("/operator/pools/x");
  assert.match(await page.textContent("#books table"), /80/);
});

test("the tasks go on, and each says what it did", async () => {
  await page.goto("/operator");
  const runs = () => page.textContent("tr:has(td:text-is('tell')) td:nth-child(5)").then((text) => Number(text.replace(/\D/g, "")));
  const first = await runs();
  await page.waitForFunction((first) => Number([...document.querySelectorAll("tr")].find((row) => row.cells[0]?.textContent === "tell").cells[4].textContent.replace(/\D/g, "")) > first, first, { timeout: 20_000 });
});

test("an app is made and people can connect by it", async () => {
  await page.goto("/operator/networks/x");
  await page.click("summary:has-text('Add an app')");
  await page.fill("form[action$='/apps'] input[name=id]", "agency");
  await page.fill("form[action$='/apps'] input[name=client_id]", "client-2");
  await page.fill("form[action$='/apps'] input[name=secret]", "a-secret-of-x");
  await page.click("button:has-text('Add the app')");
  assert.match(await page.textContent("[role=status]"), /It holds from now on/);
  const body = await page.content();
  assert.ok(body.includes("client-2") && !body.includes("a-secret-of-x"));
});

test("a key is shown once and ends by typing, and a reader changes nothing", async () => {
  await page.goto("/operator/keys");
  await page.fill("input[name=name]", "Rita");
  await page.click("button:has-text('Make a key')");
  const key = (await page.textContent("#key")).trim();
  const reader = await operator(key);
  await reader.waitForURL("**/operator/leases");
  await reader.goto("/operator/networks/x");
  assert.equal(await reader.locator("main form").count(), 0);
  await reader.goto("/operator/keys");
  assert.match(await reader.textContent("main"), /You may not do this/);
  await page.goto("/operator/keys");
  assert.ok(!(await page.content()).includes(key));
  await page.click("tr:has-text('Rita') a:has-text('Revoke')");
  await page.fill("input[name=word]", "revoke");
  await page.click("main form button");
  await reader.goto("/operator");
  assert.match(reader.url(), /sign-in/);
  await reader.context().close();
});

test("the sealing key is changed while the broker serves", async () => {
  await page.goto("/operator/keys");
  const before = await page.textContent("dd code");
  await page.click("text=Change the sealing key");
  await page.fill("input[name=word]", "change");
  await page.click("main form button");
  assert.match(await page.textContent("[role=status]"), /being sealed anew/);
  assert.notEqual(await page.textContent("dd code"), before);
  scene.run("lease acquire --team acme --network x --operation users.get --calls 1 --purpose collect_statistics --collection brand-2");
});

test("axe finds nothing to complain of, light and dark, wide and narrow", async () => {
  const paths = [
    "/operator", "/operator/networks", "/operator/networks/x", "/operator/pools", "/operator/pools/x", `/operator/pools/x?token=${ids[0]}`,
    "/operator/pools/x?token=nonsense", "/operator/leases", "/operator/dead-letters", "/operator/keys", "/operator/keys?ended=1", "/operator/keys/rotate",
    "/operator/networks/nowhere",
  ];
  for (const [colorScheme, width] of [["light", 1280], ["dark", 360]]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    for (const path of paths) {
      await page.goto(path);
      const { violations } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]).analyze();
      assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes[0].html]), [], `${path} ${colorScheme} ${width}`);
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wider <= 0, `${path} is ${wider} px wider than its window of ${width}`);
    }
  }
  await page.context().clearCookies();
  await page.goto("/operator");
  const { violations } = await new AxeBuilder({ page }).analyze();
  assert.deepEqual(violations.map(({ id }) => id), [], "the sign-in");
});
