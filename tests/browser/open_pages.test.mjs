// 200 browsers of some members have a page open, which listens and fetches anew what changed. OPEN_PAGES says how many.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { after, before, test } from "node:test";

import { Scene } from "./scene.mjs";
import { cookieOf, resident } from "./visitor.mjs";

const pages = Number(process.env.OPEN_PAGES ?? 200);
// What a page of alerts shows that changes: the alerts, and the bell.
const parts = ["/alerts", "/notices/unread"];
// Within which pages spread what they fetch, in milliseconds: as console.js does.
const spread = 1_000;
// Pages that one member has open: of more than 64 the rest is refused.
const ofMember = 50;
let scene, cookies;

before(async () => {
  scene = await Scene.open({ tokens: 20, settings: { TOKEN_BROKER__LOAD__HOLD: "0s" } });
  const more = Array.from({ length: Math.ceil(pages / ofMember) - 1 }, (_, nth) => scene.join(`owner-${nth}@example.com`, `Owner ${nth}`, "owner"));
  cookies = [];
  for (const member of [scene.members.owner, ...more]) cookies.push(await cookieOf(scene, member));
});

after(() => scene?.close());

// A browser in which the page of alerts is open.
class Page {
  // It keeps its connections, as browsers do, and has no more than they have.
  agent = new Agent({ keepAlive: true, maxSockets: 6 });
  // Connections that it opened, and rounds in which it fetched its parts.
  connections = 0;
  rounds = 0;
  seen = new Promise((resolve) => { this.see = resolve; });
  // A page fetches nothing while it still waits for what it fetched before.
  last = Promise.resolve();

  constructor(cookie) {
    this.cookie = cookie;
  }

  ask(path, headers = {}) {
    return new Promise((resolve, reject) => {
      const request = get(`${scene.url}${path}`, { agent: this.agent, headers: { cookie: this.cookie, ...headers } }, resolve);
      request.on("socket", (socket) => {
        if (!socket.isCounted) this.connections += 1;
        socket.isCounted = true;
      });
      request.on("error", reject);
    });
  }

  async listen() {
    this.stream = await this.ask("/live", { accept: "text/event-stream" });
    assert.equal(this.stream.statusCode, 200);
    this.stream.setEncoding("utf8").on("data", (text) => {
      if (/^event: ?(alerts|notices|tick)$/m.test(text)) this.due ??= setTimeout(() => { this.last = this.last.then(() => this.refresh()).catch(this.see); }, Math.random() * spread);
    }).on("error", () => {});
  }

  async refresh() {
    this.due = undefined;
    this.rounds += 1;
    const answers = await Promise.all(parts.map(async (path) => {
      const answer = await this.ask(path, { "x-by-itself": "yes" });
      let text = "";
      for await (const piece of answer.setEncoding("utf8")) text += piece;
      assert.equal(answer.statusCode, 200);
      return text;
    }));
    if (answers[0].includes("I have seen it")) this.see();
  }

  close() {
    clearTimeout(this.due);
    this.stream?.destroy();
    this.agent.destroy();
  }
}

test("every open page shows an alert that opens, and others are served meanwhile", async () => {
  const before = resident(scene.broker.child.pid, readFileSync);
  const open = Array.from({ length: pages }, (_, nth) => new Page(cookies[Math.floor(nth / ofMember)]));
  try {
    await Promise.all(open.map((page) => page.listen()));
    for (let nth = 0; nth < 6; nth += 1) {
      try { scene.run("lease acquire --team acme --network x --operation users.get --calls 800 --purpose collect_statistics --collection brand"); } catch { /* It is used up in the end: demand is what counts. */ }
    }
    const failed = (await Promise.all(open.map((page) => page.seen))).filter((error) => error);
    assert.deepEqual(failed, []);
    const served = await fetch(`${scene.url}/alerts`, { headers: { cookie: cookies[0] } });
    assert.match(await served.text(), /I have seen it/);
    const grown = resident(scene.broker.child.pid, readFileSync) - before;
    const most = (of) => Math.max(...open.map(of));
    console.log(`# ${pages} open pages took ${Math.round(grown / 1024 / 1024)} MiB, at most ${most((page) => page.connections)} connections and ${most((page) => page.rounds)} rounds each`);
    assert.ok(grown / pages < 512 * 1024, `${grown} bytes for ${pages} pages`);
    // One for the stream, and one for each part that it fetches.
    assert.ok(most((page) => page.connections) <= 1 + parts.length);
    assert.ok(most((page) => page.rounds) <= 6, `${most((page) => page.rounds)} rounds`);
  } finally {
    for (const page of open) page.close();
  }
});
