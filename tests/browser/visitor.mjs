// A visitor without a browser: many of them fit into one test.
import { password } from "./scene.mjs";

// Joins as `member`, or signs in; the cookie of the session.
export async function cookieOf(scene, member) {
  const form = member.joined
    ? { mail: member.mail, password }
    : { invitation: new URL(member.link).searchParams.get("invitation"), password };
  const answer = await fetch(`${scene.url}${member.joined ? "/sign-in" : "/join"}`, {
    method: "POST", redirect: "manual", body: new URLSearchParams(form), headers: { "sec-fetch-site": "same-origin" },
  });
  member.joined = true;
  if (answer.status !== 303) throw new Error(`${answer.status}: ${await answer.text()}`);
  return answer.headers.get("set-cookie").split(";")[0];
}

// The memory of a process that is resident, in bytes.
export function resident(pid, read) {
  return Number(read(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * 4096;
}
