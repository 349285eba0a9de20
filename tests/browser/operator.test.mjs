// The operators' pages in a real browser, on the real program with simulated networks.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { firstLoad, leave, mustBeAccessible, mustHaveLookedAtAll, openBrowser, operatorOf } from "./browse.mjs";
import { Scene } from "./scene.mjs";

let scene, browser, page, ids;

const operator = (key, of = scene) => operatorOf(browser, of, { key, path: "/operator/leases" });

before(async () => {
  scene = await Scene.open({ tokens: 24 });
  browser = await openBrowser();
  page = await operator(scene.key);
  await page.waitForURL("**/operator/leases");
  ids = scene.json("token list --team acme").map((token) => token.name.split("/").pop());
});

after(async () => {
  try {
    await browser?.close();
  } finally {
    await scene?.close();
  }
});

test("only an operator's key signs in, and the browser does not keep it", async () => {
  const other = await operator("tbk_not_a_key");
  assert.match(await other.textContent("[role=alert]"), /no operator's key that works/);
  await leave(other);
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
  const runs = () => page.textContent("tr:has(td:text-is('Events are told')) td:nth-child(5)").then((text) => Number(text.replace(/\D/g, "")));
  const first = await runs();
  await page.waitForFunction((first) => Number([...document.querySelectorAll("tr")].find((row) => row.cells[0]?.textContent === "Events are told").cells[4].textContent.replace(/\D/g, "")) > first, first, { timeout: 20_000 });
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
  await leave(reader);
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

test("a key is not made again by loading its page again", async () => {
  await page.goto("/operator/keys");
  await page.fill("input[name=name]", "Otto");
  await page.click("button:has-text('Make a key')");
  const key = (await page.textContent("#key")).trim();
  await mustBeAccessible(page);
  await page.reload();
  assert.match(await page.textContent("main"), /This was done already.*revoke it and make another/s);
  assert.ok(!(await page.content()).includes(key));
  await mustBeAccessible(page, "a key, again");
  await page.click("text=Go back");
  assert.equal(await page.locator("tr:has-text('Otto')").count(), 1);
});

test("a form outlives the session, but for what is secret in it", async () => {
  const other = await operator(scene.key);
  await other.waitForURL("**/operator/leases");
  await other.goto("/operator/networks/facebook");
  await other.click("summary:has-text('Add an app')");
  await other.fill("form[action$='/apps'] input[name=id]", "second");
  await other.fill("form[action$='/apps'] input[name=client_id]", "client-3");
  await other.fill("form[action$='/apps'] input[name=secret]", "a-secret-of-facebook");
  await other.context().clearCookies();
  await other.click("button:has-text('Add the app')");
  assert.match(await other.textContent("[role=alert]"), /Your session has ended/);
  assert.ok(!(await other.content()).includes("a-secret-of-facebook"));
  await mustBeAccessible(other, "the sign-in with a form that waits");
  await other.fill("input[name=key]", scene.key);
  await other.click("main button");
  await mustBeAccessible(other, "the form that waited");
  await other.fill("input[name=secret]", "a-secret-of-facebook");
  await other.click("text=Send it now");
  await other.waitForURL("**/operator/networks/facebook?done=app-kept");
  const app = scene.json("apps list --network facebook").find((found) => found.name.endsWith("/second"));
  assert.equal(app.clientId, "client-3");
  assert.match(await other.textContent("main section:has-text('second'), main :has(> h3:has-text('second'))"), /kept sealed/);
  await leave(other);
});

test("a page that is first opened is small", async () => {
  for (const path of ["/operator", "/operator/networks", "/operator/networks/x", "/operator/pools", "/operator/pools/x", "/operator/leases", "/operator/dead-letters", "/operator/keys"]) {
    const bytes = await firstLoad(page, path);
    assert.ok(bytes > 5_000 && bytes <= 100_000, `${path}: ${bytes} bytes`);
  }
});

test("axe finds nothing to complain of, light and dark, wide and narrow", async () => {
  const last = (name) => name.split("/").pop();
  // An incident, and messages that are given up: nobody may post to this very machine.
  scene.run("destination create slack --team acme --target-from -", undefined, "https://localhost/hook");
  for (const { name } of scene.json("token list --team acme --network tiktok")) {
    try { scene.run(`token test ${last(name)} --team acme`); } catch { /* Once the incident is found its tokens rest. */ }
  }
  const [incident] = scene.json("incident list").map(({ name }) => last(name));
  await page.goto("/operator/dead-letters");
  while (await page.locator("main a[href$='/delete']").count() === 0) {
    await page.waitForTimeout(200);
    await page.reload();
  }
  const letter = await page.getAttribute("main a[href$='/delete'] >> nth=0", "href");
  await page.goto("/operator/keys");
  const key = await page.getAttribute("main a[href$='/revoke'] >> nth=0", "href");
  const paths = [
    "/operator", "/operator/networks", "/operator/networks/x", "/operator/networks/facebook", "/operator/pools", "/operator/pools/x", `/operator/pools/x?token=${ids[0]}`,
    "/operator/pools/x?token=nonsense", "/operator/leases", "/operator/leases?network=x&team=acme", "/operator/dead-letters", letter, "/operator/keys", "/operator/keys?ended=1", key, "/operator/keys/rotate",
    `/operator/incidents/${incident}`, `/operator/incidents/${incident}/close`, `/operator/incidents/${incident}/close?outcome=lost`,
    "/operator/networks/nowhere", "/operator/incidents/nothing",
  ];
  for (const path of paths) {
    await page.goto(path);
    await mustBeAccessible(page, path);
  }
  await page.goto("/operator/networks/x");
  await page.click("summary:has-text('Add an app')");
  for (const summary of await page.$$("main summary:has-text('Change')")) await summary.click();
  await mustBeAccessible(page, "the apps of a network, to be changed");
  const reader = await operator(scene.run("key create --role reader").match(/tbk_\S+/)[0]);
  await reader.waitForURL("**/operator/leases");
  await reader.goto("/operator/keys");
  assert.match(await reader.textContent("main"), /You may not do this/);
  await mustBeAccessible(reader, "what a reader may not see");
  await leave(reader);
  await page.goto("/operator/keys/rotate");
  await page.fill("input[name=word]", "perhaps");
  await page.click("main form button");
  assert.match(await page.textContent("[role=alert]"), /Type “change” into the field/);
  await mustBeAccessible(page, "a wrong word");
  await page.goto("/operator/keys");
  scene.ageProofs();
  await page.click("button:has-text('Make a key')");
  assert.match(await page.textContent("h1"), /Is it still you/);
  await mustBeAccessible(page, "who it is, asked once more");
  await page.fill("input[name=confirm_proof]", "tbk_not_a_key");
  await page.click("main form button");
  assert.match(await page.textContent("[role=alert]"), /not the key that you signed in with/);
  await mustBeAccessible(page, "another key than that of the session");
  await page.context().clearCookies();
  await page.goto("/operator");
  await mustBeAccessible(page, "the sign-in");
  await page.fill("input[name=key]", "tbk_not_a_key");
  await page.click("main button");
  assert.match(await page.textContent("[role=alert]"), /no operator's key that works/);
  await mustBeAccessible(page, "a key that does not work");
  const begun = await Scene.open({ tokens: 0, networks: ["x"] });
  try {
    const first = await operator(begun.key, begun);
    await first.waitForURL("**/operator/leases");
    for (const path of ["/operator", "/operator/leases", "/operator/dead-letters", "/operator/pools", "/operator/pools/x", "/operator/networks/youtube"]) {
      await first.goto(path);
      await mustBeAccessible(first, `${path} of a broker that has just begun`);
    }
    await leave(first);
  } finally {
    await begun.close();
  }
});

test("axe has looked at each route that shows a page", () => {
  mustHaveLookedAtAll(["console/operator/mod.rs"], ["/operator/live"]);
});
