// The programs that the console shows beside a new key, run as they are shown: they lease a token and report what they used.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { openBrowser, signedIn } from "./browse.mjs";
import { Scene } from "./scene.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const tools = join(root, "target/tools");
let scene, browser, shown;

before(async () => {
  scene = await Scene.open({ tokens: 10, networks: ["x", "facebook", "linkedin", "youtube", "tiktok"] });
  browser = await openBrowser();
  const page = await signedIn(browser, scene, scene.members.owner);
  await page.goto("/collectors/new");
  await page.fill("input[name=name]", "worker");
  await page.check("input[value=x]");
  await page.check("input[value=collect_statistics]");
  await page.click("text=Make the collector");
  await page.click("button:has-text('Make a key')");
  shown = Object.fromEntries(await page.$$eval("pre[id]", (found) => found.map((pre) => [pre.id, pre.textContent])));
  // Where a person has them: the .proto files, Python with grpcio, and grpcurl. It comes with no registry that the tests use; buf asks the same.
  mkdirSync(join(scene.home, "bin"));
  symlinkSync(join(root, "proto"), join(scene.home, "proto"));
  install("python", `exec '${tools}/python/bin/python' "$@"`);
  install("grpcurl", `test "$1 $2 $4" = '-plaintext -H -d'
exec '${tools}/node_modules/.bin/buf' curl --protocol grpc --http2-prior-knowledge -H "$3" -d "$5" "http://$6/$7"`);
});

after(async () => {
  try {
    await browser?.close();
  } finally {
    await scene?.close();
  }
});

function install(name, script) {
  const path = join(scene.home, "bin", name);
  writeFileSync(path, `#!/bin/sh\nset -e\n${script}\n`);
  chmodSync(path, 0o755);
}

// Runs lines in a shell, after those of the page that set the environment.
function run(lines) {
  const env = { PATH: `${scene.home}/bin:${process.env.PATH}`, HOME: scene.home };
  return execFileSync("bash", ["--norc", "-euo", "pipefail", "-c", `${shown.environment}\n${lines}`], { cwd: scene.home, env, encoding: "utf8", timeout: 120_000 });
}

// The leases that were given back, the newest first, each with how many calls it has left.
const released = () => scene.json("lease list --state released");

// Runs what must take a lease and give it back used up. Which leases are over is written down soon after it was answered.
async function mustUseALease(act) {
  const before = released().length;
  const said = act();
  let leases = released();
  for (let tries = 0; tries < 100 && leases.length === before; tries += 1) {
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    leases = released();
  }
  assert.equal(leases.length, before + 1, said);
  assert.equal(leases[0].callsLeft, 0, "all calls were reported");
  return said;
}

test("the one in Python", async () => {
  writeFileSync(join(scene.home, "worker.py"), shown.python);
  // As its head says.
  run(shown.python.match(/^# (python -m grpc_tools.*)$/m)[1]);
  await mustUseALease(() => run("python worker.py"));
});

test("the one for grpcurl", async () => {
  assert.match(await mustUseALease(() => run(shown.grpcurl)), /"accessToken"/);
});

test("the one in Rust, which is an example of this crate", async () => {
  const example = readFileSync(join(root, "examples/worker.rs"), "utf8");
  const [, program] = example.split(/\n\n([^]*)/);
  const body = shown.rust.replace(/^(\/\/.*\n)+/, "").replace(/mod pb \{\n.*\n\}\n\n/, "");
  assert.equal(body, program.replace("use token_broker::grpc::pb;\n", ""), "but for where the messages come from it is the same");
  await mustUseALease(() => run(join(root, "target/debug/examples/worker")));
});
