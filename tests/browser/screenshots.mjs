// Takes a picture of every page of the console, into target/screenshots: `node tests/browser/screenshots.mjs`, after `cargo build` and
// `scripts/test --install`.
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { openBrowser, signedIn } from "./browse.mjs";
import { Scene } from "./scene.mjs";

const folder = fileURLToPath(new URL("../../target/screenshots/", import.meta.url));
mkdirSync(folder, { recursive: true });
const looks = [["light", "light", 1280], ["dark", "dark", 1280], ["phone", "light", 360]];
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
  for (const [name, path] of Object.entries(shots)) {
    for (const [look, colorScheme, width] of looks) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      await page.goto(path);
      await page.waitForTimeout(250);
      await page.screenshot({ path: `${folder}${name}-${look}.png`, fullPage: look !== "dark" });
    }
  }
  const operator = await (await browser.newContext({ baseURL: scene.url, viewport: { width: 1280, height: 800 } })).newPage();
  await operator.goto("/operator");
  await operator.screenshot({ path: `${folder}operator-sign-in.png` });
  await operator.fill("input[name=key]", scene.key);
  await operator.click("main button");
  await operator.waitForURL("**/operator");
  const operators = {
    overview: "", networks: "/networks", network: "/networks/x", pools: "/pools", pool: "/pools/x", leases: "/leases", "dead-letters": "/dead-letters", keys: "/keys", rotate: "/keys/rotate",
  };
  for (const [name, path] of Object.entries(operators)) {
    for (const [look, colorScheme, width] of looks) {
      await operator.emulateMedia({ colorScheme });
      await operator.setViewportSize({ width, height: 800 });
      await operator.goto(`/operator${path}`);
      await operator.waitForTimeout(250);
      await operator.screenshot({ path: `${folder}operator-${name}-${look}.png`, fullPage: look !== "dark" });
    }
  }
  const nobody = await (await browser.newContext({ baseURL: scene.url })).newPage();
  await nobody.goto("/sign-in");
  await nobody.screenshot({ path: `${folder}sign-in.png` });
  console.log(`the pictures are in ${folder}`);
} finally {
  await browser.close();
  await scene.close();
}
