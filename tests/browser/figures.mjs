// How long pages take at 10,000 tokens, and how large they are when they are first opened, with all that they load:
// `TOKEN_BROKER=target/release/token-broker node tests/browser/figures.mjs`. It fails where the median of a page is beyond 50 ms, or its first load
// beyond 100 kB. The times hold the way over loopback, too; those of a debug build mean nothing. FIGURE_TOKENS says how many tokens there are.
import { firstLoad, openBrowser, signedIn } from "./browse.mjs";
import { Scene } from "./scene.mjs";

const tokens = Number(process.env.FIGURE_TOKENS ?? 10_000);
const longest = 50;
const largest = 100_000;
const answers = 40;
const last = (name) => name.split("/").pop();

// What each page asks for by itself is left out: the page alone is timed.
async function timesOf(page, path) {
  const cookie = (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
  const times = [];
  for (let nth = 0; nth < answers; nth += 1) {
    const began = performance.now();
    const answer = await fetch(`${scene.url}${path}`, { headers: { cookie, "accept-encoding": "gzip" }, redirect: "manual" });
    await answer.arrayBuffer();
    times.push(performance.now() - began);
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status}`);
  }
  return times.sort((one, other) => one - other);
}

// Prints the figures of pages; those that are beyond the bounds.
async function measure(page, paths) {
  const beyond = [];
  for (const path of paths) {
    const times = await timesOf(page, path);
    const [median, slowest, bytes] = [times[answers / 2], times.at(-1), await firstLoad(page, path)];
    const name = path.replace(/_[0-9a-f]{32}/g, "_…");
    const isBeyond = median > longest || bytes > largest;
    console.log(`${name.padEnd(56)} ${median.toFixed(1).padStart(8)} ${slowest.toFixed(1).padStart(8)} ${String(bytes).padStart(8)}${isBeyond ? "  too much" : ""}`);
    if (isBeyond) beyond.push(name);
  }
  return beyond;
}

async function operator() {
  const page = await (await browser.newContext({ baseURL: scene.url })).newPage();
  await page.goto("/operator");
  await page.fill("input[name=key]", scene.key);
  await page.click("main button");
  await page.waitForURL("**/operator");
  return page;
}

// One thing of each kind that has a page.
async function things(owner) {
  for (let nth = 0; nth < 3; nth += 1) {
    scene.run(`lease acquire --team acme --network x --operation users.get --calls 800 --purpose collect_statistics --collection brand-${nth}`);
  }
  scene.pastLoads("x", "users_get");
  scene.run("collector create worker --team acme --network x --purpose collect_statistics --quiet");
  const destination = scene.json("destination create mail --team acme --target-from -", undefined, "list@example.com");
  await owner.goto("/tokens?network=youtube");
  await owner.click("button:has-text('Try renewing all of')");
  const job = new URL(owner.url()).pathname;
  await owner.waitForSelector("#job b:text-is('Done')", { timeout: 600_000 });
  do await owner.goto("/load"); while (await owner.locator(".chart").count() === 0);
  return {
    job,
    token: last(scene.json("token list --team acme --network x --limit 1")[0].name),
    member: last(scene.json("member list --team acme")[0].name),
    collector: last(scene.json("collector list --team acme")[0].name),
    destination: last(destination.name),
    incident: last(await scene.incident("tiktok")),
  };
}

// Renewals are as fast as they may be, so that a job soon ends.
const settings = { TOKEN_BROKER__RENEWALS__PER_SECOND: "1000", TOKEN_BROKER__RENEWALS__NETWORK_PER_SECOND: "10000" };
const scene = await Scene.open({ tokens, settings });
const browser = await openBrowser();
try {
  const owner = await signedIn(browser, scene, scene.members.owner);
  const { token, job, member, collector, destination, incident } = await things(owner);
  console.log(`${tokens} tokens; median and slowest of ${answers} answers (ms), first load (bytes)\n`);
  const ofOwner = await measure(owner, [
    "/tokens", "/tokens?hello=yes", "/tokens?status=expiring", "/tokens?q=kaffee", "/tokens?network=x&kind=user&status=valid", `/tokens/${token}`, `/tokens/${token}/managers`,
    `/tokens/${token}/usage`, `/tokens/${token}/revoke`, "/jobs", job, "/load", "/load?range=7d", "/load/x/users_get", "/load/estimate?network=x&kind=user&tokens=4", "/alerts",
    `/alerts/incidents/${incident}`, "/notices", "/notifications", `/notifications?token=${token}`, "/notifications/destinations/new", `/notifications/destinations/${destination}`,
    "/activity", "/activity?action=token.", "/members", `/members/${member}`, "/members/invite", "/collectors", "/collectors/new", `/collectors/${collector}`, "/account",
    "/connect/start", "/connect/start?network=x&kind=user",
  ]);
  const ofOperator = await measure(await operator(), [
    "/operator", `/operator/incidents/${incident}`, "/operator/networks", "/operator/networks/x", "/operator/pools", "/operator/pools/x", `/operator/pools/x?token=${token}`,
    "/operator/leases", "/operator/dead-letters", "/operator/keys",
  ]);
  const beyond = [...ofOwner, ...ofOperator];
  if (beyond.length > 0) {
    console.error(`\nbeyond ${longest} ms or ${largest} bytes: ${beyond.join(", ")}`);
    process.exitCode = 1;
  }
} finally {
  await scene.close();
  await browser.close();
}
