// How long pages take at 10,000 tokens, and how large they are: `TOKEN_BROKER=target/release/token-broker node tests/browser/figures.mjs`. The times
// hold the way over loopback, too. FIGURE_TOKENS says how many tokens there are.
import { Scene } from "./scene.mjs";
import { cookieOf } from "./visitor.mjs";

const tokens = Number(process.env.FIGURE_TOKENS ?? 10_000);
const scene = await Scene.open({ tokens });
try {
  const cookie = await cookieOf(scene, scene.members.owner);
  for (let nth = 0; nth < 3; nth += 1) {
    scene.run(`lease acquire --team acme --network x --operation users.get --calls 800 --purpose collect_statistics --collection brand-${nth}`);
  }
  const id = scene.json("token list --team acme --network x --limit 1")[0]?.name.split("/").pop();
  await new Promise((resolve) => { setTimeout(resolve, 20_000); });
  const paths = [
    "/tokens", "/tokens?status=expiring", "/tokens?q=kaffee", "/tokens?network=x&kind=user&status=valid", `/tokens/${id}`, `/tokens/${id}/managers`, `/tokens/${id}/usage`, "/load",
    "/alerts", "/notices", "/notifications", "/activity", "/members", "/collectors", "/account",
  ];
  console.log(`${tokens} tokens; median and slowest of 40 answers\n`);
  for (const path of paths) {
    const times = [];
    let bytes = 0;
    for (let nth = 0; nth < 40; nth += 1) {
      const began = performance.now();
      const answer = await fetch(`${scene.url}${path}`, { headers: { cookie, "accept-encoding": "gzip" }, redirect: "manual" });
      bytes = (await answer.arrayBuffer()).byteLength;
      times.push(performance.now() - began);
      if (answer.status !== 200) throw new Error(`${path}: ${answer.status}`);
    }
    times.sort((one, other) => one - other);
    const shown = path.replace(/tok_\w+/, "tok_…");
    console.log(`${shown.padEnd(44)} ${times[20].toFixed(1).padStart(7)} ms ${times.at(-1).toFixed(1).padStart(7)} ms ${String(bytes).padStart(8)} bytes unpacked`);
  }
} finally {
  await scene.close();
}
