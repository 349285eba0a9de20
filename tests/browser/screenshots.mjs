// Takes a picture of every page of the console, into target/screenshots: `node tests/browser/screenshots.mjs`, after `cargo build` and
// `scripts/test --install`.
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { openBrowser, signedIn } from "./browse.mjs";
import { Scene } from "./scene.mjs";

const folder = fileURLToPath(new URL("../../target/screenshots/", import.meta.url));
mkdirSync(folder, { recursive: true });
const looks = [["light", "light", 1280], ["dark", "dark", 1280], ["phone", "light", 360]];
async function shoot(page, shots, prefix = "") {
  for (const [name, path] of Object.entries(shots)) {
    for (const [look, colorScheme, width] of looks) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      await page.goto(path);
      await page.waitForTimeout(250);
      await page.screenshot({ path: `${folder}${prefix}${name}-${look}.png`, fullPage: look !== "dark" });
    }
  }
}

const last = (name) => name.split("/").pop();
const scene = await Scene.open({ tokens: 24, settings: { TOKEN_BROKER__LOAD__HOLD: "5s" } });
const browser = await openBrowser();
try {
  const ids = scene.json("token list --team acme").map((token) => token.name.split("/").pop());
  scene.run(`token invalidate ${ids[3]} ${ids[4]} --reason password-changed --team acme`);
  scene.run(`token pause ${ids[7]} --team acme`);
  for (let nth = 0; nth < 6; nth += 1) {
    try { scene.run(`lease acquire --team acme --network x --operation users.get --calls 800 --purpose collect_statistics --collection brand-${nth % 3}`); } catch { /* It is used up in the end. */ }
  }
  const page = await signedIn(browser, scene, scene.members.owner);
  await page.waitForTimeout(25_000);
  const shots = {
    tokens: "/tokens", "tokens-none-fit": "/tokens?q=nothing", token: `/tokens/${ids[3]}`, managers: `/tokens/${ids[3]}/managers`, usage: `/tokens/${ids[0]}/usage`,
    revoke: `/tokens/${ids[3]}/revoke`, load: "/load", alerts: "/alerts", account: "/account", connect: "/connect/start", "connect-x": "/connect/start?network=x&kind=user",
    "not-found": "/tokens/tok_unknown", notices: "/notices", notifications: "/notifications", destination: "/notifications/destinations/new", activity: "/activity",
    members: "/members", invite: "/members/invite", collectors: "/collectors", collector: "/collectors/new",
  };
  await shoot(page, shots);
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.goto("/collectors/new");
  await page.fill("input[name=name]", "worker");
  await page.check("input[value=x]");
  await page.check("input[value=collect_statistics]");
  await page.click("text=Make the collector");
  const collector = new URL(page.url()).pathname;
  await page.click("form[action$='/keys'] button");
  await page.screenshot({ path: `${folder}key-made.png`, fullPage: true });
  await page.reload();
  await page.screenshot({ path: `${folder}key-made-already.png`, fullPage: true });
  const incident = last(await scene.incident("tiktok"));
  const eve = scene.json("member list --team acme").find(({ mail }) => mail === scene.members.member.mail);
  const target = scene.json("destination create mail --team acme --target-from -", undefined, "list@example.com");
  await shoot(page, {
    "load-one": "/load/x/users_get", incident: `/alerts/incidents/${incident}`, "collector-one": collector, member: `/members/${last(eve.name)}`,
    "destination-one": `/notifications/destinations/${last(target.name)}`,
  });
  const operator = await (await browser.newContext({ baseURL: scene.url, viewport: { width: 1280, height: 800 } })).newPage();
  await operator.goto("/operator");
  await operator.screenshot({ path: `${folder}operator-sign-in.png` });
  await operator.fill("input[name=key]", scene.key);
  await operator.click("main button");
  await operator.waitForURL("**/operator");
  const operators = {
    overview: "/operator", incident: `/operator/incidents/${incident}`, networks: "/operator/networks", network: "/operator/networks/x", pools: "/operator/pools",
    pool: "/operator/pools/x", leases: "/operator/leases", "dead-letters": "/operator/dead-letters", keys: "/operator/keys", rotate: "/operator/keys/rotate",
  };
  await shoot(operator, operators, "operator-");
  const nobody = await (await browser.newContext({ baseURL: scene.url })).newPage();
  await nobody.goto("/sign-in");
  await nobody.screenshot({ path: `${folder}sign-in.png` });
  console.log(`the pictures are in ${folder}`);
} finally {
  await browser.close();
  await scene.close();
}
