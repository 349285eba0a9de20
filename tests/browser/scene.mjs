// A broker with simulated networks, a team, its people and its tokens: the real program, started on free ports of this machine, and ended
// with the test.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const program = resolve(process.env.TOKEN_BROKER ?? join(root, "target/debug/token-broker"));
export const password = "violet+tractor+humming+sideways";
const day = 24 * 3600 * 1000;
const firstKey = /tbk_\S+/;
const python = join(root, "target/tools/python/bin/python");

async function freePorts(count) {
  // All are held until the last is found: the system may give one that was let go once more.
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

// A process that says with its lines that it is ready.
async function start(args, env, isReady, run = program) {
  const child = spawn(run, args, { env: { PATH: process.env.PATH, HOME: tmpdir(), ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const written = [];
  const ready = new Promise((resolve, reject) => {
    for (const pipe of [child.stdout, child.stderr]) {
      createInterface({ input: pipe }).on("line", (line) => {
        written.push(line);
        if (isReady(line, written)) resolve(line);
      });
    }
    child.on("exit", (code) => reject(new Error(`${args[0]} ended with ${code}:\n${written.join("\n")}`)));
  });
  ready.catch(() => {});
  return { child, written, line: await ready };
}

export class Scene {
  // A scene, or nothing that goes on.
  static async open(wanted) {
    const scene = new Scene();
    scene.home = mkdtempSync(join(tmpdir(), "console-"));
    try {
      await scene.set(wanted);
    } catch (error) {
      await scene.close();
      throw error;
    }
    return scene;
  }

  async set({ tokens = 40, settings = {}, networks = ["x", "facebook", "instagram", "youtube", "linkedin", "tiktok"] } = {}) {
    const [grpc, http] = await freePorts(2);
    const chosen = networks.flatMap((network) => ["--network", network]);
    this.simulated = await start(
      ["simulate", "--output", "jsonl", "--listen", "127.0.0.1:0", "--persons", "12", "--catalogue-out", join(this.home, "networks"), ...chosen],
      {}, (line) => line.startsWith("{"));
    this.networks = JSON.parse(this.simulated.line).url;
    this.mails = await start([join(root, "tests/program/notices/smtp_server.py"), "none"], {}, (line) => line.startsWith("{"), python);
    this.url = `http://localhost:${http}`;
    this.broker = await start(["serve"], {
      TOKEN_BROKER__STORE__DIR: join(this.home, "data"),
      TOKEN_BROKER__GRPC__LISTEN: `127.0.0.1:${grpc}`,
      TOKEN_BROKER__HTTP__LISTEN: `127.0.0.1:${http}`,
      TOKEN_BROKER__HTTP__PUBLIC_URL: this.url,
      TOKEN_BROKER__CATALOGUE__DIR: join(this.home, "networks"),
      TOKEN_BROKER__MAIL__HOST: "127.0.0.1",
      TOKEN_BROKER__MAIL__PORT: `${JSON.parse(this.mails.line).port}`,
      TOKEN_BROKER__MAIL__SECURITY: "none",
      TOKEN_BROKER__MAIL__FROM: "Token Broker <tokens@example.com>",
      ...settings,
    // The key comes by stdout, the rest by stderr: which is read first is chance.
    }, (_, written) => written.some((line) => line.includes("the broker serves")) && firstKey.test(written.join("\n")));
    this.key = this.broker.written.join("\n").match(firstKey)[0];
    this.server = `http://127.0.0.1:${grpc}`;
    this.run("team create acme --display-name", "Acme Brand Watch");
    for (const network of networks) this.run(`apps update ${network}/default --client-id app --client-secret-from -`, undefined, "client-secret");
    this.members = { owner: this.join("ada@example.com", "Ada Lovelace", "owner"), member: this.join("eve@example.com", "Eve Moneypenny", "member") };
    if (tokens > 0) this.importTokens(tokens);
  }

  // What goes wrong at the simulated networks from now on.
  async fault(network, fault) {
    const sent = await fetch(`${this.networks}/_sim/faults`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ network, fault }),
    });
    if (!sent.ok) throw new Error(`the fault is not taken: ${await sent.text()}`);
  }

  // The name of an incident at a network. Its imported tokens are of nobody whom the simulated network knows, so that it refuses each.
  async incident(network) {
    for (const [nth, { name }] of this.json(`token list --team acme --network ${network}`).entries()) {
      try { this.run(`token test ${name.split("/").pop()} --team acme`); } catch { /* Once the incident is found its tokens rest. */ }
      if (nth % 10 === 9 && this.json("incident list").length > 0) break;
    }
    for (let tries = 0; tries < 100; tries += 1) {
      const [found] = this.json("incident list");
      if (found) return found.name;
      await new Promise((resolve) => { setTimeout(resolve, 100); });
    }
    throw new Error(`there is no incident at ${network}`);
  }

  // Keeps what the load of a class was in the quarters of the last hour, as if the broker had been there: a chart needs a past.
  pastLoads(network, loadClass) {
    const quarter = 900;
    const last = Math.floor(Date.now() / 1000 / quarter) * quarter;
    const row = (nth) => `('acme', '${network}', '${loadClass}', ${(last - nth * quarter) * 1e6}, ${quarter * 1e6}, ${400 + 50 * nth}, 900, 8)`;
    this.alter(`INSERT OR IGNORE INTO load_sample (team, network, class, at_us, span_us, demand, supply, tokens) VALUES ${[1, 2, 3, 4].map(row)}`);
  }

  // Lets it be an hour ago that those who are signed in proved who they are: what reaches far asks them once more.
  ageProofs() {
    this.alter("UPDATE session SET authenticated_at_us = authenticated_at_us - 3600000000");
  }

  // Changes the store behind the broker's back.
  alter(statement) {
    const code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit(); c.close()";
    execFileSync(python, ["-c", code, join(this.home, "data/broker.db"), statement]);
  }

  // The mails to an address that the real mail server took, in plain text.
  mailsTo(address) {
    const plain = (text) => text.replaceAll("=\r\n", "").replaceAll("=3D", "=");
    const mails = this.mails.written.slice(1).map((line) => JSON.parse(line)).filter((mail) => mail.to.includes(address));
    return mails.map((mail) => ({ ...mail, content: plain(mail.content) }));
  }

  // The first mail to an address in which `wanted` stands, once it is there.
  async mail(address, wanted) {
    for (let tries = 0; tries < 300; tries += 1) {
      const found = this.mailsTo(address).find((mail) => mail.content.includes(wanted));
      if (found) return found;
      await new Promise((resolve) => { setTimeout(resolve, 100); });
    }
    throw new Error(`no mail to ${address} says ${wanted}; there are ${this.mailsTo(address).map((mail) => mail.content.match(/Subject: .*/)[0]).join(", ")}`);
  }

  run(line, last, input = "") {
    const args = [...line.split(" "), ...(last === undefined ? [] : [last])];
    const env = { PATH: process.env.PATH, HOME: this.home, TOKEN_BROKER_SERVER: this.server, TOKEN_BROKER_KEY: this.key, TOKEN_BROKER_TEAM: "acme" };
    return execFileSync(program, args, { maxBuffer: 64 * 1024 * 1024, env, input, cwd: this.home, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] });
  }

  json(line, last, input) {
    return JSON.parse(this.run(`${line} --output json`, last, input));
  }

  // Invites a person; the link by which it joins.
  join(mail, name, role, team = "acme") {
    const line = `member invite ${mail} --team ${team} --role ${role} --time-zone Europe/Vienna --output json --display-name`;
    const made = JSON.parse(this.run(line, name));
    return { mail, name, link: made.link ?? made.invitationLink ?? Object.values(made).find((value) => `${value}`.startsWith("http")) };
  }

  // Tokens of every status. Their secrets mean nothing to the networks.
  importTokens(count, wanted = () => true, first = 0) {
    const kinds = [
      ["x", "user", "tweet.read users.read like.read list.read offline.access"],
      ["facebook", "page", "pages_show_list pages_read_engagement read_insights"],
      ["linkedin", "user", "r_organization_social rw_organization_admin"],
      ["youtube", "user", "https://www.googleapis.com/auth/youtube.readonly"],
      ["tiktok", "user", "user.info.basic user.info.profile user.info.stats video.list"],
    ];
    const names = ["Acme", "Acme Deutschland", "Zenith Coffee", "Nord Sport", "مقهى القاهرة", "Grün & Söhne", "🦊 Fox Media", "Bluewave", "Kaffeehaus", "Studio 54"];
    const rows = ["network,kind,person,profile,display_name,scopes,purposes,access_token,access_expire_time"];
    for (let nth = first; nth < first + count; nth += 1) {
      const [network, kind, scopes] = kinds[nth % kinds.length];
      if (!wanted(network)) continue;
      const left = [2, 5, 30, 58, 0][nth % 5];
      const end = left === 0 ? "" : new Date(Date.now() + left * day).toISOString();
      const name = `${names[nth % names.length]}${nth >= names.length ? ` ${Math.floor(nth / names.length) + 1}` : ""}`;
      rows.push([network, kind, `${1000 + nth}`, `profile-${nth}`, `"${name}"`, scopes, "collect_statistics", `at-${nth}`, end].join(","));
    }
    writeFileSync(join(this.home, "tokens.csv"), rows.join("\n"));
    return this.run("token import tokens.csv --team acme --quiet");
  }

  // Tokens that a simulated network has given to the persons 10, 11 and 12, after whom they are called: those who give consent in a browser are
  // others. They end in three days, unless they are renewed: the network does so.
  async importRenewable(network, granter = "") {
    const served = await (await fetch(`${this.networks}/_sim/networks`)).json();
    const tokens = served.find((found) => found.network === network).tokens.filter(({ person, refresh_secret }) => /^person-1\d$/.test(person) && refresh_secret);
    const end = new Date(Date.now() + 3 * day).toISOString();
    const rows = ["network,kind,person,profile,display_name,granted_by,scopes,purposes,access_token,refresh_token,access_expire_time,refresh_expire_time"];
    for (const token of tokens) {
      const scopes = token.scopes.join(" ");
      rows.push([network, token.kind, token.person, token.profiles[0], token.person, granter, scopes, "collect_statistics", token.secret, token.refresh_secret, end, end].join(","));
    }
    writeFileSync(join(this.home, `${network}.csv`), rows.join("\n"));
    this.run(`token import ${network}.csv --team acme --quiet`);
    return this.json(`token list --team acme --network ${network}`).filter(({ person }) => /^person-1\d$/.test(person));
  }

  async close() {
    for (const { child } of [this.broker, this.simulated, this.mails].filter((started) => started)) {
      if (child.exitCode !== null) continue;
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 20_000);
      await once(child, "exit");
      clearTimeout(late);
    }
    rmSync(this.home, { recursive: true, force: true });
  }
}
