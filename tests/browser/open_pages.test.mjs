// 200 pages are open at once and listen. OPEN_PAGES says how many.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { Scene } from "./scene.mjs";
import { cookieOf, resident } from "./visitor.mjs";

const pages = Number(process.env.OPEN_PAGES ?? 200);
let scene, cookie;

before(async () => {
  scene = await Scene.open({ tokens: 20, settings: { TOKEN_BROKER__LOAD__HOLD: "0s", TOKEN_BROKER__HTTP__MAX_CONNECTIONS: `${pages + 56}` } });
  cookie = await cookieOf(scene, scene.members.owner);
});

after(() => scene?.close());

// An open page: the events that it got, by how often.
async function listen(stop) {
  const answer = await fetch(`${scene.url}/live`, { headers: { cookie }, signal: stop });
  assert.equal(answer.status, 200);
  const got = new Map();
  const news = new Map();
  (async () => {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; ;) {
      const { value, done } = await reader.read().catch(() => ({ done: true }));
      if (done) return;
      text += value;
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        const kind = text.slice(0, end).match(/^event: ?(.*)$/m)?.[1];
        text = text.slice(end + 2);
        if (!kind) continue;
        got.set(kind, (got.get(kind) ?? 0) + 1);
        news.get(kind)?.();
      }
    }
  })();
  return { got, until: (kind) => new Promise((resolve) => { got.has(kind) ? resolve() : news.set(kind, resolve); }) };
}

test("every open page hears of an alert, and others are served meanwhile", async () => {
  const before = resident(scene.broker.child.pid, readFileSync);
  const stop = new AbortController();
  const open = await Promise.all(Array.from({ length: pages }, () => listen(stop.signal)));
  for (let nth = 0; nth < 6; nth += 1) {
    try { scene.run("lease acquire --team acme --network x --operation users.get --calls 800 --purpose collect_statistics --collection brand"); } catch { /* It is used up in the end: demand is what counts. */ }
  }
  await Promise.all(open.map((page) => page.until("alerts")));
  const served = await fetch(`${scene.url}/alerts`, { headers: { cookie } });
  assert.match(await served.text(), /I have seen it/);
  const grown = resident(scene.broker.child.pid, readFileSync) - before;
  stop.abort();
  console.log(`# ${pages} open pages took ${Math.round(grown / 1024 / 1024)} MiB`);
  assert.ok(grown / pages < 512 * 1024, `${grown} bytes for ${pages} pages`);
});
