// A real browser on the scene: Debian's Chromium, driven by playwright-core.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

import { password } from "./scene.mjs";

const tools = createRequire(fileURLToPath(new URL("../../target/tools/", import.meta.url)));
const { chromium } = tools("playwright-core");
export const AxeBuilder = tools("@axe-core/playwright").default;

export async function openBrowser() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
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
