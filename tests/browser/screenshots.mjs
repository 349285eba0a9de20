// Takes a picture of every page of the console in each of its states, light, dark and on a phone, into target/screenshots:
// `node tests/browser/screenshots.mjs`, after `cargo build` and `scripts/test --install`. It fails if a template is in no row of the table
// below, or a state of the table was not photographed.
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { consent, leave, openBrowser, signedIn } from "./browse.mjs";
import { Scene, password } from "./scene.mjs";

const folder = fileURLToPath(new URL("../../target/screenshots/", import.meta.url));
const looks = [["light", "light", 1280], ["dark", "dark", 1280], ["phone", "light", 360]];
const last = (name) => name.split("/").pop();

// Each template with the pictures of its states.
const states = {
  "page.html": ["sign-in"],
  "problem.html": ["no-such-page", "join-unknown", "mail-unknown"],
  "sign_in/sign_in.html": ["sign-in", "sign-in-wrong", "sign-in-form-waits"],
  "sign_in/join.html": ["join", "join-weak-password", "new-password"],
  "sign_in/mail.html": ["mail", "mail-proved"],
  "sign_in/account.html": ["account"],
  "sign_in/teams.html": ["sign-in-which-team"],

  "connect/networks.html": ["connect", "connect-none"],
  "connect/start.html": ["connect-x", "connect-for-colleague", "connect-again", "connect-no-purpose", "connect-rests"],
  "connect/link.html": ["connect-link"],
  "connect/offer.html": ["offer", "offer-again", "offer-to-colleague", "offer-declined-scope", "offer-wrong-account", "offer-refused", "offer-network-fails"],
  "connect/away.html": ["away"],
  "connect/choose.html": ["choose-account", "choose-profiles", "choose-none-ticked"],
  "connect/message.html": ["connect-ended", "connect-cancelled", "connect-unknown-link", "connect-other-browser"],

  "console/layout.html": ["tokens", "session-over"],
  "console/pages.html": ["tokens-many"],
  "console/tokens/list.html": ["tokens", "tokens-none", "tokens-none-as-member", "tokens-none-left", "tokens-none-fit", "tokens-as-member", "tokens-done", "tokens-menu", "tokens-waits", "tokens-many", "tokens-rest"],
  "console/tokens/cells.html": ["tokens"],
  "console/tokens/hello.html": ["hello", "hello-as-member", "hello-done"],
  "console/tokens/show.html": ["token", "token-invalid", "token-paused", "token-revoked", "token-as-member", "token-rests"],
  "console/tokens/managers.html": ["managers"],
  "console/tokens/usage.html": ["usage", "usage-none"],
  "console/tokens/revoke.html": ["revoke", "revoke-wrong-word", "revoke-many"],
  "console/tokens/outcome.html": ["outcome"],
  "console/jobs.html": ["jobs", "jobs-none"],
  "console/job.html": ["job-under-way", "job-stopped", "job-done"],
  "console/load/show.html": ["load", "load-none", "load-one", "load-one-none", "load-estimated"],
  "console/load/parts.html": ["load"],
  "console/load/estimate.html": ["estimate"],
  "console/alerts.html": ["alerts", "alerts-none", "alerts-many", "alerts-seen", "alerts-past"],
  "console/alert.html": ["alert", "alert-over"],
  "console/noticed.html": ["alert", "incident"],
  "console/incident.html": ["incident", "incident-over"],
  "console/notices/list.html": ["notices", "notices-none", "notices-all-read"],
  "console/notifications/page.html": ["notifications", "notifications-as-member", "notifications-no-destination", "notifications-of-token", "notifications-many-profiles", "notifications-quiet-wrong"],
  "console/notifications/cells.html": ["destination-new"],
  "console/notifications/new.html": ["destination-new", "destination-wrong"],
  "console/notifications/destination.html": ["destination", "destination-tested", "destination-test-failed"],
  "console/notifications/secret.html": ["destination-secret"],
  "console/activity/list.html": ["activity", "activity-none-fit", "activity-wrong-day"],
  "console/members/list.html": ["members", "members-alone", "members-invited", "members-left", "members-as-member"],
  "console/members/invite.html": ["invite", "invite-wrong"],
  "console/members/link.html": ["invite-link"],
  "console/members/show.html": ["member", "member-invited", "member-own"],
  "console/members/remove.html": ["member-remove", "member-remove-wrong-word"],
  "console/members/departure.html": ["member-departure"],
  "console/collectors/list.html": ["collectors", "collectors-none"],
  "console/collectors/cells.html": ["collector-new"],
  "console/collectors/new.html": ["collector-new", "collector-wrong"],
  "console/collectors/show.html": ["collector", "collector-without-key", "collector-key-wrong", "collector-disabled", "collector-as-member"],
  "console/collectors/key.html": ["collector-key"],
  "console/again.html": ["collector-key-again", "invite-link-again", "connect-link-again", "destination-secret-again"],
  "console/typed.html": ["collector-key-revoke", "collector-key-revoke-wrong-word", "destination-delete", "operator-incident-close", "operator-incident-lose", "operator-dead-letter-delete", "operator-key-revoke", "operator-rotate"],
  "console/confirm.html": ["confirm", "confirm-wrong", "operator-confirm"],
  "console/kept.html": ["form-kept", "operator-form-kept"],
  "console/refused.html": ["may-not", "not-found", "not-done", "operator-may-not", "operator-not-found"],

  "console/operator/sign_in.html": ["operator-sign-in", "operator-sign-in-wrong", "operator-sign-in-form-waits"],
  "console/operator/overview.html": ["operator-overview", "operator-overview-quiet"],
  "console/operator/incident_card.html": ["operator-overview"],
  "console/operator/incident.html": ["operator-incident", "operator-incident-over"],
  "console/operator/networks.html": ["operator-networks"],
  "console/operator/network.html": ["operator-network", "operator-network-open", "operator-network-wrong"],
  "console/operator/pools.html": ["operator-pools"],
  "console/operator/pool.html": ["operator-pool", "operator-pool-unused", "operator-pool-token", "operator-pool-no-token"],
  "console/operator/leases.html": ["operator-leases", "operator-leases-none"],
  "console/operator/dead_letters.html": ["operator-dead-letters", "operator-dead-letters-none"],
  "console/operator/keys.html": ["operator-keys", "operator-keys-ended", "operator-keys-wrong"],
  "console/operator/key.html": ["operator-key"],
};
const taken = new Set();

// Takes the pictures of a page as it stands.
async function take(page, name) {
  for (const look of looks) await takeOne(page, name, look);
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.emulateMedia({ colorScheme: "light" });
}

async function takeOne(page, name, [look, colorScheme, width]) {
  await page.emulateMedia({ colorScheme });
  await page.setViewportSize({ width, height: 800 });
  await page.waitForTimeout(150);
  await page.screenshot({ path: `${folder}${name}-${look}.png`, fullPage: look !== "dark" });
  taken.add(name);
}

// Takes the pictures of pages that an address leads to, loaded anew for each: charts are drawn in the colours that they find.
async function visit(page, shots) {
  for (const [name, path] of Object.entries(shots)) {
    for (const look of looks) {
      await page.emulateMedia({ colorScheme: look[1] });
      await page.setViewportSize({ width: look[2], height: 800 });
      await page.goto(path);
      await takeOne(page, name, look);
    }
  }
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.emulateMedia({ colorScheme: "light" });
}

// Loads a page until it has what is waited for.
async function until(page, path, selector) {
  for (let tries = 0; tries < 200; tries += 1) {
    await page.goto(path);
    if (await page.locator(selector).count() > 0) return;
    await page.waitForTimeout(500);
  }
  throw new Error(`${path} never has ${selector}`);
}

async function stranger(scene) {
  const context = await browser.newContext({ baseURL: scene.url, viewport: { width: 1280, height: 800 } });
  return context.newPage();
}

async function operatorOf(scene, key = scene.key) {
  const page = await stranger(scene);
  await page.goto("/operator");
  await page.fill("input[name=key]", key);
  await page.click("main button");
  await page.waitForURL("**/operator");
  return page;
}

// A team that has just begun.
async function empty(scene) {
  const owner = await signedIn(browser, scene, scene.members.owner);
  await visit(owner, {
    "tokens-none": "/tokens", "jobs-none": "/jobs", "load-none": "/load", "alerts-none": "/alerts", "notices-none": "/notices",
    "notifications-no-destination": "/notifications", "members-alone": "/members", "collectors-none": "/collectors", "connect-none": "/connect/start",
  });
  await visit(await signedIn(browser, scene, scene.members.member), { "tokens-none-as-member": "/tokens" });
  scene.importTokens(1);
  scene.run(`token revoke ${last(scene.json("token list --team acme")[0].name)} --team acme`);
  await visit(owner, { "tokens-none-left": "/tokens" });
  await visit(await operatorOf(scene), {
    "operator-overview-quiet": "/operator", "operator-leases-none": "/operator/leases", "operator-dead-letters-none": "/operator/dead-letters",
    "operator-pool-unused": "/operator/pools/x",
  });
}

async function strangers(scene) {
  const nobody = await stranger(scene);
  await visit(nobody, {
    "sign-in": "/sign-in", "no-such-page": "/nothing", "join-unknown": "/join?invitation=nonsense", "mail-unknown": "/mail?proof=nonsense",
    "connect-unknown-link": "/connect/links/nonsense", join: scene.members.owner.link,
  });
  await nobody.fill("input[name=password]", "password1234");
  await nobody.click("main button");
  await take(nobody, "join-weak-password");
  await nobody.goto("/sign-in");
  await nobody.fill("input[name=mail]", scene.members.owner.mail);
  await nobody.fill("input[name=password]", "not-my-password");
  await nobody.click("main button");
  await take(nobody, "sign-in-wrong");
  await inSeveralTeams(scene, nobody);
}

// A person whom two teams have invited signs in.
async function inSeveralTeams(scene, page) {
  const mail = "max@example.com";
  for (const [team, name] of [["nord", "Nord Sport"], ["zenith", "Zenith Coffee"]]) {
    scene.run(`team create ${team} --display-name`, name);
    await page.goto(scene.join(mail, "Max Mustermann", "manager", team).link);
    await page.fill("input[name=password]", password);
    await page.click("main button");
    await page.waitForURL(/\/tokens/);
    // The page that was open would ask for its own, and be led to the sign-in.
    await page.goto("about:blank");
    await page.context().clearCookies();
  }
  await page.goto("/sign-in");
  await page.fill("input[name=mail]", mail);
  await page.fill("input[name=password]", password);
  await page.click("main button");
  await take(page, "sign-in-which-team");
}

// What the networks have told and collectors have done before anybody looks.
async function past(scene) {
  const ids = scene.json("token list --team acme").map(({ name }) => last(name));
  const renewable = (await scene.importRenewable("x", scene.members.owner.mail)).map(({ name }) => last(name));
  await scene.importRenewable("youtube", scene.members.member.mail);
  scene.run(`token invalidate ${ids[3]} ${ids[8]} --reason password-changed --team acme`);
  scene.run(`token pause ${ids[7]} --team acme`);
  scene.run(`token revoke ${ids[23]} --team acme`);
  scene.pastLoads("x", "users_get");
  const leases = [];
  for (let nth = 0; nth < 12; nth += 1) {
    try { leases.push(scene.json(`lease acquire --team acme --network x --operation users.get --calls 800 --purpose collect_statistics --collection brand-${nth % 3}`)); } catch { /* It is used up in the end: demand is what counts. */ }
  }
  for (const { name } of leases.slice(0, 4)) scene.run(`lease report ${last(name)} --sequence 1 --ok 600 --error 4`);
  return { ids, renewable, used: last(leases[0].token), paused: ids[7], invalid: ids[3], revoked: ids[23] };
}

async function tokens(scene, owner, { ids, renewable, used, paused, invalid, revoked }) {
  await visit(owner, {
    tokens: "/tokens", "tokens-none-fit": "/tokens?q=nothing", token: `/tokens/${ids[0]}`, "token-invalid": `/tokens/${invalid}`, "token-paused": `/tokens/${paused}`,
    "token-revoked": `/tokens/${revoked}`, managers: `/tokens/${invalid}/managers`, usage: `/tokens/${used}/usage`, "usage-none": `/tokens/${ids[2]}/usage`,
    revoke: `/tokens/${invalid}/revoke`, "not-found": "/tokens/tok_unknown",
  });
  await owner.goto(`/tokens/${invalid}/revoke`);
  await owner.fill("input[name=word]", "perhaps");
  await owner.click("main button.danger");
  await take(owner, "revoke-wrong-word");
  await owner.goto("/tokens");
  await owner.click("details.menu summary >> nth=0");
  await take(owner, "tokens-menu");
  const tick = async (chosen, action, meanwhile = () => {}) => {
    await owner.goto("/tokens");
    for (const id of chosen) await owner.check(`tbody input[value="${id}"]`);
    meanwhile();
    await owner.click(`.bulk button[value=${action}]`);
  };
  await tick([paused, ids[12]], "pause");
  await take(owner, "tokens-done");
  await tick([invalid, renewable[0], ids[4]], "renew");
  await take(owner, "outcome");
  // Somebody else was faster.
  await tick([invalid, ids[4], ids[18]], "revoke", () => scene.run(`token revoke ${ids[18]} --team acme`));
  await take(owner, "revoke-many");
  await owner.goto("/tokens");
  await owner.route("**/tokens", () => {});
  await owner.evaluate(() => htmx.trigger("#tokens", "refresh"));
  await owner.waitForTimeout(1_000);
  await take(owner, "tokens-waits");
  await owner.unroute("**/tokens");
  await owner.goto(`/tokens/${ids[14]}`);
  scene.run(`token revoke ${ids[14]} --team acme`);
  await owner.click("main button:has-text('Pause')");
  await take(owner, "not-done");
}

async function jobs(scene, owner) {
  await scene.fault("x", { kind: "change_password", person: "person-11" });
  await owner.goto("/tokens?network=x");
  await owner.click("button:has-text('Try renewing all of')");
  await owner.waitForSelector("#job tbody tr");
  await take(owner, "job-under-way");
  await owner.click("button:has-text('Stop')");
  await take(owner, "job-stopped");
  await owner.click("button:has-text('Go on')");
  await owner.waitForSelector("#job:has-text('Done')", { timeout: 60_000 });
  await take(owner, "job-done");
  await visit(owner, { jobs: "/jobs" });
}

// The connect pages, and what can go wrong on the way.
async function connecting(scene, owner, { invalid, ids }) {
  const start = "/connect/start?network=x&kind=user";
  await visit(owner, { connect: "/connect/start", "connect-x": start, "connect-for-colleague": `${start}&for=colleague`, "connect-again": `/connect/start?token=${invalid}` });
  await owner.goto(start);
  for (const box of await owner.$$("input[name=purpose]")) await box.uncheck();
  await owner.click("text=Continue");
  await take(owner, "connect-no-purpose");
  await owner.goto(`/connect/start?token=${invalid}`);
  await owner.click("text=Continue");
  await take(owner, "offer-again");
  await owner.goto(start);
  await owner.click("text=Continue");
  await take(owner, "offer");
  // The browser is led on at once: the network does not let it.
  await owner.route(`${scene.networks}/**`, (route) => route.fulfill({ status: 204 }));
  await owner.click("text=/Agree and continue to/");
  await owner.waitForSelector("h1:has-text('On to')");
  await take(owner, "away");
  await owner.unroute(`${scene.networks}/**`);
  await owner.goto(start);
  await owner.click("text=Continue");
  await owner.click("text=/Agree and continue to/");
  await owner.waitForURL(`${scene.networks}/**`);
  await owner.click("button[value=deny]");
  await owner.waitForURL("**/connect/con_*");
  await take(owner, "offer-refused");
  await consent(scene, owner, start, { person: "person-27", declined: "tweet.read" });
  await take(owner, "offer-declined-scope");
  await consent(scene, owner, `/connect/start?token=${ids[5]}`, { person: "somebody-else" });
  await take(owner, "offer-wrong-account");
  const fault = { kind: "server_errors", share: 1, status: 503, counted: false };
  await consent(scene, owner, start, { person: "person-28", fault }).finally(() => scene.fault("x", { kind: "calm" }));
  await take(owner, "offer-network-fails");
  await consent(scene, owner, start, { person: "person-29" });
  await take(owner, "choose-account");
  await consent(scene, owner, "/connect/start?network=youtube&kind=user", { person: "person-29" });
  await take(owner, "choose-profiles");
  for (const box of await owner.$$("input[name=profile]:not([disabled])")) await box.uncheck();
  await owner.click("main button:has-text('Connect'):not(.other)");
  await take(owner, "choose-none-ticked");
}

// A colleague who is no member connects an account by a link.
async function colleagues(scene, owner) {
  const offered = async (person) => {
    await owner.goto("/connect/start?network=x&kind=user");
    await owner.check("input[value=colleague]");
    await owner.fill("input[name=colleague]", person);
    await owner.click("text=Continue");
    return (await owner.textContent("#link")).trim();
  };
  const link = await offered("Mia of Nord Sport");
  await take(owner, "connect-link");
  await owner.reload();
  await take(owner, "connect-link-again");
  const mia = await stranger(scene);
  await visit(mia, { "offer-to-colleague": link });
  await consent(scene, mia, link, { person: "person-31" });
  const connection = mia.url();
  await mia.click("main button:has-text('Connect'):not(.other)");
  await take(mia, "connect-ended");
  await consent(scene, mia, await offered("Mia"), { person: "person-32" });
  await mia.click("text=Connect nothing");
  await take(mia, "connect-cancelled");
  await visit(await stranger(scene), { "connect-other-browser": connection });
}

async function loads(scene, owner) {
  await until(owner, "/alerts", "#alerts button:has-text('I have seen it')");
  const shots = {
    alerts: "/alerts", load: "/load", "load-one": "/load/x/users_get", "load-one-none": "/load/x/tweets_get", estimate: "/load/estimate?network=x&kind=user&tokens=2",
  };
  await visit(owner, shots);
  await owner.goto("/load");
  await owner.locator("input[type=range]").first().fill("20");
  await owner.waitForSelector("#estimate");
  await take(owner, "load-estimated");
  await owner.goto("/alerts");
  await owner.fill("#alerts input[name=comment]", "we connect more");
  await owner.click("#alerts button:has-text('I have seen it')");
  await take(owner, "alerts-seen");
  await owner.click("#alerts h3 a");
  await take(owner, "alert");
  // More than have room to be shown whole. The broker does not know of them: it would close them.
  scene.alter(`WITH RECURSIVE many(nth) AS (SELECT 1 UNION ALL SELECT nth + 1 FROM many WHERE nth < 40)
    INSERT INTO alert (id, dedup_key, kind, team, network, class, level, message, opened_at_us, detail_json)
    SELECT randomblob(16), 'picture ' || nth, 'no_access_tokens', 'acme', 'youtube', 'class_' || nth, iif(nth % 9 = 4, 'critical', 'warning'), '',
      (unixepoch() - nth * 600) * 1000000, '{"access":"none_for_purpose"}' FROM many`);
  await visit(owner, { "alerts-many": "/alerts" });
  scene.alter("DELETE FROM alert WHERE dedup_key LIKE 'picture %'");
}

async function collectors(owner) {
  await visit(owner, { "collector-new": "/collectors/new" });
  await owner.fill("input[name=name]", "worker");
  await owner.check("input[value=x]");
  await owner.click("text=Make the collector");
  await take(owner, "collector-wrong");
  await owner.check("input[value=collect_statistics]");
  await owner.click("text=Make the collector");
  const collector = new URL(owner.url()).pathname;
  await take(owner, "collector-without-key");
  await owner.fill("input[name=days]", "99999");
  await owner.click("form[action$='/keys'] button");
  await take(owner, "collector-key-wrong");
  await owner.fill("input[name=days]", "");
  await owner.click("form[action$='/keys'] button");
  await take(owner, "collector-key");
  await owner.reload();
  await take(owner, "collector-key-again");
  await visit(owner, { collectors: "/collectors", collector });
  await owner.click("main a:has-text('Revoke')");
  await take(owner, "collector-key-revoke");
  await owner.fill("input[name=word]", "perhaps");
  await owner.click("main button.danger");
  await take(owner, "collector-key-revoke-wrong-word");
  await owner.goto(collector);
  await owner.click("button:has-text('Disable')");
  await take(owner, "collector-disabled");
  return collector;
}

async function notifications(scene, owner, { ids }) {
  await visit(owner, {
    notices: "/notices", notifications: "/notifications", "notifications-of-token": `/notifications?token=${ids[0]}`, "destination-new": "/notifications/destinations/new",
  });
  await owner.goto("/notifications");
  await owner.fill("input[name=from]", "22:00");
  await owner.click("form[action='/notifications/quiet'] button");
  await take(owner, "notifications-quiet-wrong");
  // More than can be chosen from.
  scene.alter(`WITH RECURSIVE many(nth) AS (SELECT 1 UNION ALL SELECT nth + 1 FROM many WHERE nth < 600)
    INSERT INTO token_profile (profile, token)
    SELECT 'picture ' || nth, (SELECT MIN(id) FROM token WHERE team = 'acme' AND state <> 'revoked') FROM many`);
  await visit(owner, { "notifications-many-profiles": "/notifications" });
  scene.alter("DELETE FROM token_profile WHERE profile LIKE 'picture %'");
  const add = async (kind, target) => {
    await owner.goto("/notifications/destinations/new");
    await owner.check(`input[value=${kind}]`);
    await owner.fill("input[name=target]", target);
    await owner.click("main button:has-text('Add')");
  };
  await add("mail", "nobody");
  await take(owner, "destination-wrong");
  await add("webhook", "https://localhost/hook");
  await take(owner, "destination-secret");
  await owner.reload();
  await take(owner, "destination-secret-again");
  await owner.click("text=Change the destination");
  await owner.click("button:has-text('Send a test')");
  await take(owner, "destination-test-failed");
  await add("mail", "list@example.com");
  await take(owner, "destination");
  await owner.click("button:has-text('Send a test')");
  await take(owner, "destination-tested");
  await owner.click("main a.danger");
  await take(owner, "destination-delete");
}

async function members(scene, owner) {
  await visit(owner, { invite: "/members/invite" });
  const invite = async (mail) => {
    await owner.goto("/members/invite");
    await owner.fill("input[name=mail]", mail);
    await owner.click("text=Make the link");
  };
  await invite(scene.members.owner.mail);
  await take(owner, "invite-wrong");
  await invite("zed@example.com");
  await take(owner, "invite-link");
  await owner.reload();
  await take(owner, "invite-link-again");
  const bob = scene.join("bob@example.com", "Bob", "manager");
  await leave(await signedIn(browser, scene, bob));
  const all = scene.json("member list --team acme");
  const page = (mail) => `/members/${last(all.find((member) => member.mail === mail).name)}`;
  await visit(owner, {
    members: "/members", "members-invited": "/members?state=invited", member: page(scene.members.member.mail), "member-own": page(scene.members.owner.mail),
    "member-invited": page("zed@example.com"), "member-remove": `${page(bob.mail)}/remove`,
  });
  await owner.goto(page(bob.mail));
  await owner.click("text=Link for a new password");
  await visit(await stranger(scene), { "new-password": (await owner.textContent("#link")).trim() });
  await owner.goto(`${page(bob.mail)}/remove`);
  await owner.fill("input[name=mail]", "rob@example.com");
  await owner.click("main button.danger");
  await take(owner, "member-remove-wrong-word");
  await owner.fill("input[name=mail]", bob.mail);
  await owner.click("main button.danger");
  await owner.waitForURL("**/departure*");
  await visit(owner, { "member-departure": `${page(bob.mail)}/departure`, "members-left": "/members?state=left", account: "/account" });
  return page;
}

async function asMember(scene, page, collector) {
  const eve = await signedIn(browser, scene, scene.members.member);
  await take(eve, "hello-as-member");
  await visit(eve, {
    "tokens-as-member": "/tokens", "members-as-member": "/members", "notifications-as-member": "/notifications", "collector-as-member": collector,
    "may-not": "/collectors/new",
  });
  const [token] = scene.json("token list --team acme --network linkedin");
  await visit(eve, { "token-as-member": `/tokens/${last(token.name)}` });
  await eve.goto(page(scene.members.member.mail));
  await eve.fill("form.tall input[name=mail]", "eve.moneypenny@example.com");
  await eve.click("form.tall button");
  const mail = await scene.mail("eve.moneypenny@example.com", "/mail?");
  const proves = await stranger(scene);
  await visit(proves, { mail: mail.content.match(/http\S*\/mail\?\S+/)[0] });
  await proves.click("main button");
  await take(proves, "mail-proved");
}

// A session that ended, or a proof that is long ago, in the middle of a form.
async function forms(scene, owner, { ids }) {
  const pause = async () => {
    await owner.goto("/tokens");
    await owner.check(`tbody input[value="${ids[17]}"]`);
    await owner.click(".bulk button[value=pause]");
  };
  scene.ageProofs();
  await pause();
  await take(owner, "confirm");
  await owner.fill("input[name=confirm_proof]", "not-my-password");
  await owner.click("main form button");
  await take(owner, "confirm-wrong");
  await owner.goto("/tokens");
  await owner.check(`tbody input[value="${ids[17]}"]`);
  await owner.context().clearCookies();
  await owner.evaluate(() => htmx.trigger(".unread", "refresh"));
  await owner.getByText("Your session has ended").waitFor();
  await take(owner, "session-over");
  await owner.click(".bulk button[value=pause]");
  await take(owner, "sign-in-form-waits");
  await owner.fill("input[name=mail]", scene.members.owner.mail);
  await owner.fill("input[name=password]", password);
  await owner.click("main button");
  await take(owner, "form-kept");
  await owner.click("text=Send it now");
  await owner.waitForURL("**done=paused*");
}

async function operators(scene, incident, { ids }) {
  const nobody = await stranger(scene);
  await visit(nobody, { "operator-sign-in": "/operator" });
  await nobody.fill("input[name=key]", "tbk_not_a_key");
  await nobody.click("main button");
  await take(nobody, "operator-sign-in-wrong");
  const operator = await operatorOf(scene);
  await until(operator, "/operator/dead-letters", "main a[href$='/delete']");
  const letter = await operator.getAttribute("main a[href$='/delete'] >> nth=0", "href");
  await operator.goto("/operator/keys");
  const revoke = await operator.getAttribute("main a[href$='/revoke'] >> nth=0", "href");
  await visit(operator, {
    "operator-overview": "/operator", "operator-incident": `/operator/incidents/${incident}`, "operator-incident-close": `/operator/incidents/${incident}/close`,
    "operator-incident-lose": `/operator/incidents/${incident}/close?outcome=lost`, "operator-networks": "/operator/networks", "operator-network": "/operator/networks/x",
    "operator-pools": "/operator/pools", "operator-pool": "/operator/pools/x", "operator-pool-token": `/operator/pools/x?token=${ids[0]}`,
    "operator-pool-no-token": "/operator/pools/x?token=nonsense", "operator-leases": "/operator/leases", "operator-dead-letters": "/operator/dead-letters",
    "operator-dead-letter-delete": letter, "operator-keys": "/operator/keys", "operator-keys-ended": "/operator/keys?ended=1", "operator-key-revoke": revoke,
    "operator-rotate": "/operator/keys/rotate", "operator-not-found": "/operator/incidents/nothing",
  });
  await operator.goto("/operator/keys");
  await operator.fill("input[name=name]", "Otto");
  await operator.click("button:has-text('Make a key')");
  await take(operator, "operator-key");
  const reader = await operatorOf(scene, scene.run("key create --role reader").match(/tbk_\S+/)[0]);
  await visit(reader, { "operator-may-not": "/operator/keys" });
  await operator.goto("/operator/networks/x");
  for (const summary of await operator.$$("main summary")) await summary.click();
  await take(operator, "operator-network-open");
  await operator.fill("form[action$='/apps'] input[name=id]", "agency two");
  await operator.click("button:has-text('Add the app')");
  await take(operator, "operator-network-wrong");
  await operator.goto("/operator/keys");
  await operator.fill("input[name=days]", "0");
  await operator.click("button:has-text('Make a key')");
  await take(operator, "operator-keys-wrong");
  await operator.goto("/operator/keys");
  scene.ageProofs();
  await operator.click("button:has-text('Make a key')");
  await take(operator, "operator-confirm");
  await operator.goto("/operator/networks/facebook");
  await operator.click("summary:has-text('Add an app')");
  await operator.fill("form[action$='/apps'] input[name=id]", "second");
  await operator.fill("form[action$='/apps'] input[name=client_id]", "client-3");
  await operator.fill("form[action$='/apps'] input[name=secret]", "a-secret-of-facebook");
  await operator.context().clearCookies();
  await operator.click("button:has-text('Add the app')");
  await take(operator, "operator-sign-in-form-waits");
  await operator.fill("input[name=key]", scene.key);
  await operator.click("main button");
  await take(operator, "operator-form-kept");
  await operator.goto(`/operator/incidents/${incident}/close?outcome=lost`);
  await operator.fill("input[name=word]", "lost");
  await operator.click("main button.danger");
  await visit(operator, { "operator-incident-over": `/operator/incidents/${incident}` });
}

// What needs more tokens than the other pictures can do with.
async function many(scene, owner) {
  scene.importTokens(2_000, (network) => network === "x", 1_000);
  await until(owner, "/alerts", "#alerts:has-text('No alert is open')");
  await visit(owner, { "alerts-past": "/alerts" });
  await owner.click("#alerts a[href^='/alerts/alr_']");
  await take(owner, "alert-over");
  await visit(owner, { "tokens-many": "/tokens?network=x" });
}

async function full(scene) {
  await strangers(scene);
  const things = await past(scene);
  const owner = await signedIn(browser, scene, scene.members.owner);
  await take(owner, "hello");
  await visit(owner, { "hello-done": "/tokens?hello=yes&done=renewed&count=1" });
  await tokens(scene, owner, things);
  await jobs(scene, owner);
  await connecting(scene, owner, things);
  await colleagues(scene, owner);
  await loads(scene, owner);
  const collector = await collectors(owner);
  await notifications(scene, owner, things);
  const page = await members(scene, owner);
  await asMember(scene, page, collector);
  const incident = last(await scene.incident("tiktok"));
  const resting = last(scene.json("token list --team acme --network tiktok")[0].name);
  await visit(owner, {
    "tokens-rest": "/tokens?network=tiktok", "token-rests": `/tokens/${resting}`, "connect-rests": "/connect/start?network=tiktok&kind=user",
    incident: `/alerts/incidents/${incident}`, activity: "/activity", "activity-none-fit": "/activity?from=2001-01-01&to=2001-01-02", "activity-wrong-day": "/activity?from=nonsense",
  });
  await owner.goto("/notices");
  await owner.click("text=Mark all as read");
  await visit(owner, { "notices-all-read": "/notices?unread=1" });
  await operators(scene, incident, things);
  await forms(scene, owner, things);
  await visit(owner, { "incident-over": `/alerts/incidents/${incident}` });
  await many(scene, owner);
}

const templates = readdirSync(fileURLToPath(new URL("../../templates/", import.meta.url)), { recursive: true }).filter((name) => name.endsWith(".html"));
assert.deepEqual(Object.keys(states).sort(), templates.sort(), "each template has its row");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const browser = await openBrowser();
try {
  for (const [wanted, photograph] of [
    [{ tokens: 0, networks: [] }, empty],
    [{ tokens: 24, settings: { TOKEN_BROKER__LOAD__HOLD: "5s", TOKEN_BROKER__RENEWALS__NETWORK_PER_SECOND: "1" } }, full],
  ]) {
    const scene = await Scene.open(wanted);
    try {
      await photograph(scene);
    } finally {
      await scene.close();
    }
  }
} finally {
  await browser.close();
}
assert.deepEqual([...taken].sort(), [...new Set(Object.values(states).flat())].sort(), "each state has its pictures, and each picture its state");
console.log(`${taken.size} states of ${templates.length} templates, three pictures each, are in ${folder}`);
