// The console in a real browser, on the real program with simulated networks.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { consent as consentAt, firstLoad, leave, mustBeAccessible, mustHaveLookedAtAll, openBrowser, signedIn } from "./browse.mjs";
import { Scene, password } from "./scene.mjs";

let scene, browser, owner, ids;

before(async () => {
  // Renewals are slow enough to be watched.
  scene = await Scene.open({ settings: { TOKEN_BROKER__LOAD__HOLD: "5s", TOKEN_BROKER__RENEWALS__NETWORK_PER_SECOND: "1" } });
  browser = await openBrowser();
  owner = await signedIn(browser, scene, scene.members.owner);
  ids = scene.json("token list --team acme").map((token) => token.name.split("/").pop());
});

after(async () => {
  try {
    await browser?.close();
  } finally {
    await scene?.close();
  }
});

// What people see of the table: names with their status.
async function rows(page) {
  return page.$$eval("table.tokens tbody tr", (found) => found.map((row) => ({
    name: row.querySelector(".name a")?.textContent, status: row.querySelector(".light")?.textContent.trim(), why: row.querySelector(".why")?.textContent ?? "",
  })));
}

test("an account is connected, and comes back to the table", async () => {
  await owner.goto("/tokens");
  await owner.click("text=Add token");
  await owner.click("a[href='/connect/start?network=x&kind=user']");
  await owner.click("text=Continue");
  await owner.click("text=Agree and continue to X");
  await owner.waitForURL(`${scene.networks}/**`);
  await owner.click("button[value=allow]");
  await owner.waitForURL("**/connect/con_*");
  await owner.click("main button:has-text('Connect'):not(.other)");
  await owner.waitForURL("**/tokens?done=connected*");
  assert.match(await owner.textContent("[role=status]"), /The account is connected/);
});

test("a person who says no at the network is told so", async () => {
  await owner.goto("/connect/start?network=x&kind=user");
  await owner.click("text=Continue");
  await owner.click("text=Agree and continue to X");
  await owner.waitForURL(`${scene.networks}/**`);
  await owner.click("button[value=deny]");
  await owner.waitForURL("**/connect/con_*");
  assert.match(await owner.textContent("[role=alert]"), /Consent was not given\. If that was a mistake, begin again and agree\. X said: access_denied/);
});

const consent = (page, start, wanted) => consentAt(scene, page, start, wanted);

test("who came back as the wrong account takes another one", async () => {
  await consent(owner, "/connect/start?network=x&kind=user", { person: "person-4" });
  assert.match(await owner.textContent("main"), /person-4/);
  await owner.click("text=Use another account");
  await owner.waitForURL(`${scene.networks}/**`);
  await owner.fill("input[name=person]", "person-5");
  await owner.click("button[value=allow]");
  await owner.waitForURL("**/connect/con_*");
  assert.match(await owner.textContent("main"), /person-5/);
  await owner.click("main button:has-text('Connect'):not(.other)");
  await owner.waitForURL("**/tokens?done=connected*");
});

test("a permission that was taken out is named, and what to do", async () => {
  await consent(owner, "/connect/start?network=x&kind=user", { person: "person-2", declined: "tweet.read" });
  assert.match(await owner.textContent("[role=alert]"), /tweet\.read/);
  // The same page leads on: nothing has to be looked for.
  await consent(owner, owner.url(), { person: "person-2" });
  await owner.click("main button:has-text('Connect'):not(.other)");
  await owner.waitForURL("**/tokens?done=connected*");
});

test("a reconnection by another account heals nothing, and says who is meant", async () => {
  const dead = ids[5];
  scene.run(`token invalidate ${dead} --reason password-changed --team acme`);
  await consent(owner, `/connect/start?token=${dead}`, { person: "somebody-else" });
  assert.match(await owner.textContent("[role=alert]"), /another account/);
  await owner.goto(`/tokens/${dead}`);
  assert.match(await owner.textContent("main .light"), /Invalid|Not valid|no longer/i);
});

test("a name of any length leaves room for what stands beside it", async () => {
  const wide = "W".repeat(128);
  // This person's name has 5,000 letters at the simulated network.
  await consent(owner, "/connect/start?network=tiktok&kind=user", { person: "wordy-1" });
  await mustBeAccessible(owner, "what is connected, with a long name");
  await owner.click("main button:has-text('Connect'):not(.other)");
  await owner.waitForURL("**/tokens?done=connected*");
  await owner.goto(`/tokens?q=${wide.slice(0, 100)}`);
  assert.deepEqual((await rows(owner)).map((row) => row.name), [wide]);
  await mustBeAccessible(owner, "the table with a long name");
  await owner.click("table.tokens .name a");
  await owner.waitForURL("**/tokens/tok_*");
  await mustBeAccessible(owner, "the page of a token with a long name");
});

test("a network that fails is told as that, and the way goes on once it answers", async () => {
  const fault = { kind: "server_errors", share: 1, status: 503, counted: false };
  await consent(owner, "/connect/start?network=x&kind=user", { person: "person-3", fault }).finally(() => scene.fault("x", { kind: "calm" }));
  assert.match(await owner.textContent("[role=alert]"), /X did not give the tokens: it answered 503\. Begin again/);
  await consent(owner, "/connect/start?network=x&kind=user", { person: "person-3" });
  await owner.click("main button:has-text('Connect'):not(.other)");
  await owner.waitForURL("**/tokens?done=connected*");
});

test("a token is paused and goes on, and the menu is used by the keyboard alone", async () => {
  await owner.goto(`/tokens/${ids[2]}`);
  await owner.click("main button:has-text('Pause')");
  assert.match(await owner.textContent("[role=status]"), /Paused/);
  await owner.goto("/tokens?status=paused");
  assert.deepEqual((await rows(owner)).map((row) => row.status), ["Paused"]);
  await owner.focus("details.menu summary");
  await owner.keyboard.press("Enter");
  for (let tab = 0; tab < 9; tab += 1) {
    if (await owner.evaluate(() => document.activeElement.textContent.trim()) === "Resume") break;
    await owner.keyboard.press("Tab");
  }
  await owner.keyboard.press("Enter");
  await owner.waitForURL("**done=resumed*");
});

test("Enter on a tick box does nothing to any token", async () => {
  const posts = [];
  const note = (request) => request.method() === "POST" && !request.url().endsWith("/alive") && posts.push(request.url());
  await owner.goto("/tokens");
  owner.on("request", note);
  const box = owner.locator("tbody input[name=token]").nth(2);
  await box.focus();
  await owner.keyboard.press("Space");
  assert.ok(await box.isChecked());
  await owner.keyboard.press("Enter");
  await owner.goto("/tokens");
  owner.off("request", note);
  assert.deepEqual(posts, []);
});

test("filters stay in the address, through the back button too", async () => {
  await owner.goto("/tokens");
  await owner.selectOption("select[name=network]", "youtube");
  await owner.fill("input[name=q]", "nord");
  await owner.click("button:has-text('Filter')");
  await owner.waitForURL("**network=youtube*");
  const found = await rows(owner);
  assert.ok(found.length > 0 && found.every((row) => row.name.includes("Nord")), JSON.stringify(found));
  await owner.click("table.tokens .name a");
  await owner.goBack();
  assert.match(owner.url(), /network=youtube/);
  assert.equal((await rows(owner)).length, found.length);
});

// What a simulated network holds of a person now.
async function heldBy(network, person) {
  const served = await (await fetch(`${scene.networks}/_sim/networks`)).json();
  return served.find((found) => found.network === network).tokens.filter((token) => token.person === person && token.refresh_secret);
}

// Requires that a token was renewed: the broker knows of its new end, and the network has given out a new secret for it, which it serves.
async function mustBeRenewed(network, token, before) {
  const id = token.name.split("/").pop();
  const { clocks } = scene.json(`token show ${id} --team acme`);
  assert.ok(Date.parse(clocks.refreshExpireTime) > Date.now() + 30 * 24 * 3600 * 1000, JSON.stringify(clocks));
  const secrets = (held) => held.map(({ secret }) => secret);
  const after = await heldBy(network, token.person);
  assert.ok(secrets(after).some((secret) => !secrets(before).includes(secret)), `${network} gave out nothing new for ${token.person}`);
  assert.equal(scene.json(`token test ${id} --team acme`).lastCheckOutcome, "CHECK_OUTCOME_WORKS");
}

test("who signs in is told of what ends soon, and renews it there", async () => {
  const person = scene.join("ren@example.com", "Ren", "member");
  const [first] = await scene.importRenewable("youtube", person.mail);
  const before = await heldBy("youtube", first.person);
  const ren = await signedIn(browser, scene, person);
  assert.equal(await ren.textContent("dialog h2"), "3 tokens need you");
  assert.match(await ren.textContent("dialog li >> nth=0"), /person-10.*[23] days left/s);
  await mustBeAccessible(ren, "the dialog at the sign-in");
  await ren.click("dialog li:has-text('person-10') button:has-text('Renew')");
  await ren.waitForURL("**done=renewed*");
  assert.match(await ren.textContent("dialog [role=status]"), /Renewed/);
  assert.ok(await ren.getByRole("dialog").getByRole("status").isVisible(), "what is behind the dialog is out of reach");
  await mustBeRenewed("youtube", first, before);
  await ren.goto("/tokens?network=youtube&q=person-1");
  assert.deepEqual((await rows(ren)).map(({ name, status }) => [name, /days? left/.test(status)]), [["person-10", false], ["person-11", true], ["person-12", true]]);
  await leave(ren);
  // Who is told has the choice not to be.
  const again = await signedIn(browser, scene, person);
  assert.equal(await again.textContent("dialog h2"), "2 tokens need you");
  await again.click("dialog a:has-text(\"Don't show this\")");
  await again.uncheck("input[name=dialog]");
  await again.click("form[action='/notifications/dialog'] button");
  await leave(again);
  const quiet = await signedIn(browser, scene, person);
  assert.equal(await quiet.locator("dialog").count(), 0);
  await quiet.goto("/notifications");
  await quiet.check("input[name=dialog]");
  await quiet.click("form[action='/notifications/dialog'] button");
  await quiet.waitForURL("**done=*");
  // Once all is renewed, the way is open to the page that was asked for.
  await quiet.context().clearCookies();
  await quiet.goto("/load");
  await quiet.fill("input[name=mail]", person.mail);
  await quiet.fill("input[name=password]", password);
  await quiet.click("main button");
  for (const name of ["person-11", "person-12"]) {
    await quiet.click(`dialog li:has-text('${name}') button:has-text('Renew')`);
    await quiet.locator(`dialog li:has-text('${name}')`).waitFor({ state: "detached" });
  }
  await quiet.click("main a:has-text('Go on to the page that you wanted')");
  await quiet.waitForURL("**/load");
  await leave(quiet);
});

test("one token is renewed from its row, and from its page", async () => {
  const [first, second] = await scene.importRenewable("x");
  let before = await heldBy("x", first.person);
  await owner.goto("/tokens?network=x&q=person-10");
  assert.match((await rows(owner))[0].status, /[23] days left/);
  await owner.click("tbody tr:has-text('person-10') details.menu summary");
  await owner.click("tbody tr:has-text('person-10') details.menu button:has-text('Renew')");
  await owner.waitForURL("**done=renewed*");
  assert.match(await owner.textContent("[role=status]"), /Renewed/);
  await mustBeRenewed("x", first, before);
  before = await heldBy("x", second.person);
  await owner.goto(`/tokens/${second.name.split("/").pop()}`);
  assert.match(await owner.textContent("#token .light"), /[23] days left/);
  await owner.click("#token button:has-text('Renew')");
  await owner.waitForURL("**done=renewed*");
  assert.doesNotMatch(await owner.textContent("#token .light"), /days left/);
  await mustBeRenewed("x", second, before);
});

test("all tokens of a network are renewed while the page shows how far it is, and what came of each", async () => {
  const known = scene.json("token list --team acme --network x").filter(({ displayName }) => /^person-1[012]$/.test(displayName));
  const [first, second, third] = known.sort((one, other) => one.displayName.localeCompare(other.displayName));
  scene.run(`token invalidate ${second.name.split("/").pop()} --reason password-changed --team acme`);
  const before = await Promise.all(known.map(({ person }) => heldBy("x", person)));
  await owner.goto("/tokens?network=x");
  await owner.click("button:has-text('Try renewing all of X')");
  await owner.waitForURL("**/jobs/job_*");
  await mustBeAccessible(owner, "a job that is under way");
  await owner.evaluate(() => {
    window.seen = [];
    const look = () => window.seen.push(document.querySelector("#job progress").value);
    look();
    new MutationObserver(look).observe(document.querySelector("main"), { childList: true, subtree: true });
  });
  await owner.waitForSelector("#job b:text-is('Done')", { timeout: 120_000 });
  const seen = await owner.evaluate(() => window.seen);
  assert.deepEqual(seen, seen.toSorted((one, other) => one - other), "it goes on");
  assert.ok(new Set(seen).size >= 3 && seen.at(-1) === 100, `the page showed ${seen}`);
  const results = await owner.$$eval("#job tbody tr", (found) => found.map((row) => [row.cells[0].textContent.trim(), row.cells[1].textContent.trim()]));
  const outcomes = Object.fromEntries(results);
  assert.deepEqual([first, second, third].map(({ displayName }) => outcomes[displayName]), ["Renewed", "Needs a person", "Renewed"]);
  const count = (outcome) => results.filter(([, shown]) => shown === outcome).length;
  const [renewed, person] = [count("Renewed"), count("Needs a person")];
  const said = new RegExp(`${results.length} of ${results.length} tokens: ${renewed} renewed, 0 to be tried again, ${person} to be connected by a person`);
  assert.match(await owner.textContent("#job"), said);
  // The broker says the same, and so does the network.
  const job = scene.json(`job show ${owner.url().split("/").pop()} --team acme`);
  assert.deepEqual([job.state, Number(job.renewed), Number(job.needsPerson)], ["JOB_STATE_DONE", renewed, person], JSON.stringify(job));
  await mustBeRenewed("x", first, before[0]);
  await mustBeRenewed("x", third, before[2]);
  assert.deepEqual(await heldBy("x", second.person), before[1], "a renewal of this one was of no use");
  await owner.click("#job tbody tr:has-text('person-11') a:has-text('Connect again')");
  await owner.waitForURL(`**/connect/start?token=${second.name.split("/").pop()}`);
});

test("who may not is neither offered nor let do it", async () => {
  const member = await signedIn(browser, scene, scene.members.member);
  await member.goto(`/tokens/${ids[2]}`);
  assert.equal(await member.locator("main button:has-text('Pause')").count(), 0);
  const status = await member.evaluate(async (path) => (await fetch(path, { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" } })).status, `/tokens/${ids[2]}/pause`);
  assert.equal(status, 403);
  await leave(member);
});

test("a load alert opens on an open page, is seen by somebody, and clears", async () => {
  await owner.goto("/alerts");
  assert.match(await owner.textContent("#alerts"), /No alert is open/);
  for (let nth = 0; nth < 24; nth += 1) {
    try { scene.run(`lease acquire --team acme --network x --operation users.get --calls 800 --purpose collect_statistics --collection brand-${nth % 3}`); } catch { /* It is used up in the end: demand is what counts. */ }
  }
  await owner.waitForSelector("#alerts button:has-text('I have seen it')", { timeout: 90_000 });
  await mustBeAccessible(owner, "an alert that is open");
  await owner.fill("#alerts input[name=comment]", "we connect more");
  await owner.click("#alerts button:has-text('I have seen it')");
  assert.match(await owner.textContent("#alerts"), /Seen by/);
  await owner.click("#alerts a:has-text('Token load')");
  await owner.waitForURL("**/load/x/users_get");
  assert.match(await owner.textContent("section.load"), /more X tokens/);
  await owner.goto("/load");
  assert.match(await owner.textContent("section.load"), /more X tokens/);
  await owner.locator("section.load input[type=range]").first().fill("50");
  await owner.waitForSelector("#estimate");
  await mustBeAccessible(owner, "a load, and what more tokens would make of it");
  // What the page advised is done: more tokens.
  await owner.goto("/alerts");
  scene.importTokens(2_000, (network) => network === "x", 1_000);
  await owner.waitForFunction(() => /No alert is open/.test(document.querySelector("#alerts").textContent), null, { timeout: 90_000 });
  assert.match(await owner.textContent("#alerts table"), /X|users_get/);
});

test("a setting leads to a mail, whose link leads to the token, and another setting to none", async () => {
  const person = scene.join("mia@example.com", "Mia", "manager");
  const mia = await signedIn(browser, scene, person);
  const choose = async (choice, page = mia) => {
    await page.goto("/notifications");
    await page.selectOption("select[name=token_invalid-mail]", choice);
    await page.click("main form[action='/notifications'][method=post] button");
    await page.waitForURL("**done=chosen*");
  };
  const witness = scene.join("noa@example.com", "Noa", "manager");
  const noa = await signedIn(browser, scene, witness);
  await choose("on", noa);
  await leave(noa);
  await choose("on");
  scene.run(`token invalidate ${ids[8]} --reason password-changed --team acme`);
  const told = await scene.mail(person.mail, ids[8]);
  await mia.goto(told.content.match(new RegExp(`${scene.url}\\S*/tokens/${ids[8]}`))[0]);
  assert.match(await mia.textContent("main"), /The account's password was changed\s+Connect again/);
  const settings = told.content.match(/List-Unsubscribe: <(\S+)>/)[1];
  assert.equal((await mia.goto(settings)).status(), 200);
  assert.match(await mia.textContent("main"), /What you hear/);
  await choose("off");
  scene.run(`token invalidate ${ids[9]} --reason password-changed --team acme`);
  // Whoever hears of it is told at once: once another one was, it is too late for her. What is told later to the same address shows that nothing was.
  await scene.mail(witness.mail, ids[9]);
  await choose("on");
  scene.run(`token invalidate ${ids[10]} --reason password-changed --team acme`);
  await scene.mail(person.mail, ids[10]);
  assert.deepEqual(scene.mailsTo(person.mail).filter(({ content }) => content.includes(ids[9])), []);
  await leave(mia);
});

test("a form outlives the session", async () => {
  const page = await signedIn(browser, scene, scene.members.owner);
  await page.goto("/tokens");
  await page.check(`input[value="${ids[7]}"]`);
  await page.context().clearCookies();
  await page.click(".bulk button[value=pause]");
  await mustBeAccessible(page, "the sign-in with a form that waits");
  await page.fill("input[name=mail]", scene.members.owner.mail);
  await page.fill("input[name=password]", password);
  await page.click("main button");
  await page.waitForSelector("text=Send it now");
  await mustBeAccessible(page, "the form that waited");
  await page.click("text=Send it now");
  await page.waitForURL("**done=paused*");
  await leave(page);
});

test("a form that nobody looks at outlives the session, too", async () => {
  const page = await signedIn(browser, scene, scene.members.owner);
  const first = page.waitForResponse("**/notices/unread");
  await page.goto("/members/invite");
  await first;
  await page.fill("input[name=mail]", "half@example.com");
  await page.context().clearCookies();
  const asked = page.waitForResponse("**/notices/unread");
  await page.evaluate(() => htmx.trigger(document.querySelector(".unread"), "refresh"));
  assert.equal((await asked).status(), 401);
  // Whoever is led away is so within a moment.
  await page.waitForTimeout(500);
  assert.deepEqual([new URL(page.url()).pathname, await page.inputValue("input[name=mail]")], ["/members/invite", "half@example.com"]);
  await leave(page);
});

test("two tabs and a session that ended elsewhere", async () => {
  const one = await signedIn(browser, scene, scene.members.owner);
  const other = await one.context().newPage();
  await other.goto("/load");
  await one.keyboard.press("Escape");
  await one.click("text=Sign out");
  await other.click("nav.places a[href='/tokens']");
  await other.waitForURL("**/sign-in?next=*");
  await leave(one);
});

test("pages work without scripts", async () => {
  const page = await signedIn(browser, scene, scene.members.owner, { javaScriptEnabled: false });
  await page.goto("/tokens?status=valid");
  await page.check(`table.tokens input[name=token] >> nth=0`);
  await page.click(".bulk button[value=pause]");
  assert.match(await page.textContent("[role=status]"), /Paused/);
  // The many tokens of X that were imported above.
  await page.goto("/tokens?network=x");
  const names = async () => (await rows(page)).map((row) => row.name);
  const turn = async (words) => {
    const link = page.locator(`nav.pages a:has-text('${words}')`);
    const href = await link.getAttribute("href");
    await link.click();
    await page.waitForURL((url) => url.href.endsWith(href));
  };
  const seen = [await names()];
  for (let nth = 0; nth < 2; nth += 1) {
    await turn("Next page");
    seen.push(await names());
  }
  assert.equal(new Set(seen.flat()).size, seen.flat().length, "each once");
  for (const expected of [seen[1], seen[0]]) {
    await turn("Previous page");
    assert.match(page.url(), /network=x/);
    assert.deepEqual(await names(), expected);
  }
  assert.equal(await page.locator("nav.pages a:has-text('Previous page')").count(), 0);
  await leave(page);
});

test("a collector's key is shown once, and copied by a button", async () => {
  await owner.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await owner.goto("/collectors/new");
  await owner.fill("input[name=name]", "worker 1");
  await owner.check("input[value=x]");
  await owner.check("input[value=collect_statistics]");
  await owner.click("text=Make the collector");
  await owner.fill("form[action$='/keys'] input[name=name]", "laptop");
  await owner.click("button:has-text('Make a key')");
  await owner.click("button[data-copy=key]");
  const key = await owner.evaluate(() => navigator.clipboard.readText());
  assert.match(key, /^tbk_[0-9a-f_]+$/);
  await owner.reload();
  assert.match(await owner.textContent("main"), /This was done already.*It was shown that once and is not kept.*revoke it and make another/s);
  assert.ok(!(await owner.content()).includes(key));
  await owner.click("text=Go back");
  assert.equal(await owner.locator("a[href*='/keys/']").count(), 1, "no second key was made");
  assert.ok(!(await owner.content()).includes(key));
  await owner.click("text=Revoke");
  await owner.fill("input[name=word]", "revoke");
  await owner.click("main form button");
  assert.match(await owner.textContent("[role=status]"), /Whoever shows this key is refused/);
});

test("a person comes by a link and leaves once its address was typed", async () => {
  await owner.goto("/members/invite");
  await owner.fill("input[name=mail]", "bob@example.com");
  await owner.fill("input[name=display_name]", "Bob");
  await owner.click("text=Make the link");
  const bob = { mail: "bob@example.com", name: "Bob", link: (await owner.textContent("#link")).trim() };
  const his = await signedIn(browser, scene, bob);
  assert.match(await his.textContent(".who"), /Bob/);
  await owner.goto("/members");
  await owner.click("main a:has-text('Bob')");
  await owner.click("text=Remove from the team");
  await owner.fill("input[name=mail]", "bob@example.com");
  await owner.click("main button.danger");
  assert.match(await owner.textContent("main"), /All is done/);
  await his.goto("/tokens");
  assert.match(his.url(), /sign-in/);
  await leave(his);
  await owner.goto("/activity?action=member.");
  assert.match(await owner.textContent("table"), /Taken out of the team/);
});

test("the bell counts what is unread, and a choice is kept", async () => {
  await owner.goto("/notices");
  await owner.waitForSelector(".unread:not(:empty)");
  await owner.click("text=Mark all as read");
  await owner.waitForFunction(() => document.querySelector(".unread").textContent === "");
  await owner.goto("/notifications");
  await owner.selectOption("select[name=token_expired-mail]", "off");
  await owner.click("main form[action='/notifications'][method=post] button");
  assert.equal(await owner.inputValue("select[name=token_expired-mail]"), "off");
});

test("the dialog at the sign-in holds the keyboard until it is closed, which leads on", async () => {
  await owner.goto("/tokens?hello=yes");
  const isInside = () => owner.evaluate(() => document.activeElement === document.body || document.querySelector("dialog").contains(document.activeElement));
  assert.ok(await owner.evaluate(() => document.querySelector("dialog").contains(document.activeElement)));
  for (let nth = 0; nth < 40; nth += 1) {
    await owner.keyboard.press("Tab");
    assert.ok(await isInside(), `after ${nth + 1} steps the focus is behind the dialog`);
  }
  await owner.keyboard.press("Escape");
  await owner.waitForSelector("dialog", { state: "hidden" });
  assert.equal(new URL(owner.url()).pathname, "/tokens");
  await owner.goto("/tokens?hello=yes&then=%2Fload");
  await owner.keyboard.press("Escape");
  await owner.waitForURL("**/load");
});

test("on a phone the place that is shown is in sight among the others", async () => {
  await owner.setViewportSize({ width: 360, height: 800 });
  for (const path of ["/tokens", "/members", "/collectors"]) {
    await owner.goto(path);
    const { left, right } = await owner.$eval(".places [aria-current]", (here) => here.getBoundingClientRect().toJSON());
    assert.ok(left >= 0 && right <= 360, `${path}: it reaches from ${left} to ${right}`);
  }
  await owner.setViewportSize({ width: 1280, height: 900 });
});

// Every page that an address leads to, with what the address needs.
const pages = ({ job, alert, incident, destination, eve, bob }) => [
  "/tokens", "/tokens?hello=yes", "/jobs", "/tokens?q=nothing-is-called-so", `/tokens/${ids[3]}`, `/tokens/${ids[3]}/managers`, `/tokens/${ids[3]}/usage`, `/tokens/${ids[3]}/revoke`,
  "/load", "/load/x/users_get", "/load/x/tweets_get", "/load/x/nothing", "/load/nowhere/nothing", "/load/estimate?network=x&kind=user&tokens=2", "/alerts", alert, `/alerts/incidents/${incident}`, `/jobs/${job}`,
  "/account", "/connect/start", "/connect/start?network=x&kind=user", "/connect/start?network=x&for=colleague", "/connect/start?network=x&kind=user&for=colleague", `/connect/start?token=${ids[5]}`, "/tokens/tok_unknown",
  "/notices", "/notices?unread=1", "/notifications", `/notifications?token=${ids[3]}`, "/notifications/destinations/new",
  `/notifications/destinations/${destination}`, `/notifications/destinations/${destination}/delete`, "/activity", "/activity?from=nonsense",
  "/members", "/members?state=invited", "/members?state=left", `/members/${eve}`, `/members/${eve}/remove`, `/members/${bob}/departure`, "/members/invite", "/collectors", "/collectors/new",
];

const last = (name) => name.split("/").pop();

// One thing of each kind that has a page.
async function things() {
  const incident = last(await scene.incident("tiktok"));
  const members = scene.json("member list --team acme");
  const member = (mail) => last(members.find((found) => found.mail === mail).name);
  await owner.goto("/alerts");
  const alert = await owner.getAttribute("#alerts a[href^='/alerts/alr_']", "href");
  await owner.goto("/tokens?network=youtube");
  await owner.click("button:has-text('Try renewing all of')");
  return {
    alert,
    job: last(new URL(owner.url()).pathname),
    incident,
    destination: last(scene.json("destination create mail --team acme --target-from -", undefined, "list@example.com").name),
    eve: member(scene.members.member.mail),
    bob: member("bob@example.com"),
  };
}

test("axe finds nothing to complain of on any page, light and dark, wide and narrow", async () => {
  for (const path of pages(await things())) {
    await owner.goto(path);
    await mustBeAccessible(owner, path);
  }
});

test("axe finds nothing to complain of where a form leads, nor once it was sent again", async () => {
  const shown = async () => {
    await mustBeAccessible(owner);
    await owner.reload();
    assert.match(await owner.textContent("h1"), /This was done already/);
    await mustBeAccessible(owner, `${owner.url()} again`);
  };
  await owner.goto("/collectors/new");
  await owner.fill("input[name=name]", "looked at");
  await owner.check("input[value=x]");
  await owner.check("input[value=collect_statistics]");
  await owner.click("text=Make the collector");
  await mustBeAccessible(owner);
  await owner.click("button:has-text('Make a key')");
  await shown();
  await owner.click("text=Revoke this key");
  await mustBeAccessible(owner);
  await owner.click("main form button");
  await mustBeAccessible(owner);
  await owner.goto("/members/invite");
  await owner.fill("input[name=mail]", "zed@example.com");
  await owner.click("text=Make the link");
  const joins = await owner.textContent("#link");
  await shown();
  await owner.goto("/notifications/destinations/new");
  await owner.check("input[value=webhook]");
  await owner.fill("input[name=target]", "https://hooks.example.com/1");
  await owner.click("main button:has-text('Add')");
  await shown();
  await owner.goto("/connect/start?network=x&kind=user");
  await owner.check("input[value=colleague]");
  await owner.click("text=Continue");
  const offered = await owner.textContent("#link");
  await shown();
  await owner.goto("/tokens");
  await owner.check(`input[value="${ids[7]}"]`);
  await owner.click(".bulk button[value=revoke]");
  await mustBeAccessible(owner);
  const nobody = await (await browser.newContext({ baseURL: scene.url })).newPage();
  for (const path of ["/sign-in", "/nothing", "/mail?proof=nonsense", "/connect/callback/x", "/join?invitation=nonsense", joins.trim(), offered.trim(), "/connect/links/nonsense"]) {
    await nobody.goto(path);
    await mustBeAccessible(nobody, path);
  }
  await leave(nobody);
});

test("axe finds nothing to complain of where something is refused, asked once more, or went wrong", async () => {
  const tick = async (chosen, action) => {
    await owner.goto("/tokens");
    for (const id of chosen) {
      // The many tokens of X come last.
      await owner.check(`tbody input[value="${id}"]`);
    }
    await owner.click(`.bulk button[value=${action}]`);
  };
  const shown = async (page, words) => {
    assert.match(await page.textContent("main"), words);
    await mustBeAccessible(page, `${words}`);
  };
  await tick([ids[8], ids[9]], "renew");
  await shown(owner, /Not all of it was done/);
  await owner.goto(`/tokens/${ids[3]}/revoke`);
  await owner.fill("input[name=word]", "perhaps");
  await owner.click("main button.danger");
  await shown(owner, /Type “revoke” into the field; nothing was done/);
  // Somebody else was faster.
  await owner.goto(`/tokens/${ids[11]}`);
  scene.run(`token revoke ${ids[11]} --team acme`);
  await owner.click("main button:has-text('Pause')");
  await shown(owner, /This was not done/);
  await owner.goto("/collectors/new");
  await owner.fill("input[name=name]", "worker 3");
  await owner.click("text=Make the collector");
  await shown(owner, /Tick at least one network/);
  await owner.goto("/members/invite");
  await owner.fill("input[name=mail]", scene.members.owner.mail);
  await owner.click("text=Make the link");
  await shown(owner, /Another member of the team has this mail address\. Choose another, or change that member\./);
  scene.ageProofs();
  await tick([ids[13]], "test");
  await shown(owner, /Is it still you/);
  await owner.fill("input[name=confirm_proof]", "not-my-password");
  await owner.click("main form button");
  await shown(owner, /This is not your password/);
  await owner.fill("input[name=confirm_proof]", password);
  await owner.click("main form button");
  await owner.waitForURL("**/tokens*");
  const member = await signedIn(browser, scene, scene.members.member);
  for (const path of ["/tokens", `/tokens/${ids[3]}`, "/members", "/notifications", "/collectors"]) {
    await member.goto(path);
    await mustBeAccessible(member, `${path} of a member`);
  }
  await member.goto("/collectors/new");
  await shown(member, /You may not do this/);
  await leave(member);
});

test("axe finds nothing to complain of on the way to a network and back", async () => {
  const start = "/connect/start?network=x&kind=user";
  await owner.goto(start);
  await owner.click("text=Continue");
  await mustBeAccessible(owner, "what is agreed to");
  // The browser is led on at once: the network does not let it.
  await owner.route(`${scene.networks}/**`, (route) => route.fulfill({ status: 204 }));
  await owner.click("text=/Agree and continue to/");
  await owner.waitForSelector("h1:has-text('On to')");
  await mustBeAccessible(owner, "the way to a network");
  await owner.unroute(`${scene.networks}/**`);
  await consent(owner, start, { person: "person-21", declined: "tweet.read" });
  await mustBeAccessible(owner, "a permission that was taken out");
  await consent(owner, "/connect/start?network=youtube&kind=user", { person: "person-21" });
  await mustBeAccessible(owner, "profiles to choose from");
  for (const box of await owner.$$("input[name=profile]:not([disabled])")) await box.uncheck();
  await owner.click("main button:has-text('Connect'):not(.other)");
  assert.match(await owner.textContent("[role=alert]"), /at least one/);
  await mustBeAccessible(owner, "no profile was chosen");
  await owner.goto(start);
  await owner.check("input[value=colleague]");
  await owner.click("text=Continue");
  const link = (await owner.textContent("#link")).trim();
  const colleague = await (await browser.newContext({ baseURL: scene.url })).newPage();
  await consent(colleague, link, { person: "person-22" });
  await colleague.click("main button:has-text('Connect'):not(.other)");
  assert.match(await colleague.textContent("main"), /You can close this window/);
  await mustBeAccessible(colleague, "a colleague has connected an account");
  await leave(colleague);
});

test("axe finds nothing to complain of where somebody comes in", async () => {
  const nobody = await (await browser.newContext({ baseURL: scene.url })).newPage();
  await nobody.goto("/sign-in");
  await nobody.fill("input[name=mail]", "nobody@example.com");
  await nobody.fill("input[name=password]", "not-a-password");
  await nobody.click("main button");
  await nobody.waitForSelector("[role=alert]");
  await mustBeAccessible(nobody, "a wrong password");
  const person = scene.join("kim@example.com", "Kim", "member");
  await nobody.goto(person.link);
  await nobody.fill("input[name=password]", "password1234");
  await nobody.click("main button");
  await nobody.waitForSelector("[role=alert]");
  await mustBeAccessible(nobody, "a password that is too weak");
  const kim = await signedIn(browser, scene, person);
  await kim.click("a.who");
  const { name } = scene.json("member list --team acme").find(({ mail }) => mail === person.mail);
  await kim.goto(`/members/${last(name)}`);
  await kim.fill("form.tall input[name=mail]", "kim.new@example.com");
  await kim.click("form.tall button");
  const { content } = await scene.mail("kim.new@example.com", "/mail?");
  await nobody.goto(content.match(/http\S*\/mail\?\S+/)[0]);
  await mustBeAccessible(nobody, "a mail address to be confirmed");
  await nobody.click("main button");
  await nobody.waitForSelector("main:has-text('is confirmed')");
  await mustBeAccessible(nobody, "a mail address that is confirmed");
  await leave(nobody);
  await leave(kim);
});

test("axe finds nothing to complain of where there is nothing yet", async () => {
  const begun = await Scene.open({ tokens: 0, networks: ["x"] });
  try {
    const page = await signedIn(browser, begun, begun.members.owner);
    for (const path of ["/tokens", "/jobs", "/load", "/alerts", "/notices", "/notifications", "/members", "/members?state=left", "/collectors", "/activity?from=2001-01-01&to=2001-01-02"]) {
      await page.goto(path);
      await mustBeAccessible(page, `${path} of a team that has just begun`);
    }
    await leave(page);
  } finally {
    await begun.close();
  }
});

test("axe has looked at each route that shows a page", () => {
  mustHaveLookedAtAll(["console/mod.rs", "connect/mod.rs", "sign_in/mod.rs"], [
    // Streams, parts of pages, figures, files and scripts.
    "/live", "/notices/unread", "/load/history", "/activity/{file}", "/push-worker.js",
    // They lead on.
    "/", "/teams/{team}/tokens/{token}",
  ]);
});

test("a page that is first opened is small", async () => {
  const page = await signedIn(browser, scene, scene.members.owner);
  const paths = [
    "/tokens", "/tokens?hello=yes", `/tokens/${ids[3]}`, `/tokens/${ids[3]}/usage`, "/jobs", "/load", "/load/x/users_get", "/alerts", "/notices", "/notifications", "/activity", "/members",
    "/collectors", "/collectors/new", "/account",
  ];
  for (const path of paths) {
    const bytes = await firstLoad(page, path);
    assert.ok(bytes > 5_000 && bytes <= 100_000, `${path}: ${bytes} bytes`);
  }
  await leave(page);
});
