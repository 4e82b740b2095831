// Requests to our own server, with the token that shows that they come from our own page.
const PATIENCE = 15000;
const meta = document.querySelector("meta[name=csrf]");
const AGAIN = new Set([408, 425, 429]); // the only ones of the client's mistakes that sending again can mend

/** The server will never take this, however often it is sent. */
export class Refused extends Error {}
/** Nobody is signed in here any more, or somebody else is. */
export class SignedOut extends Error {}
/** No answer, or one that asks to come again later. */
export class Unreachable extends Error {}

/** POST JSON and return the JSON answer. */
export async function post(path, body, annotator) {
  let answer = await send(path, body);
  if (answer.status === 403 && (await code(answer)) === "csrf") {
    await renew(annotator);
    answer = await send(path, body);
  }
  if (answer.ok) return answer.json();
  if (answer.status === 401 || answer.status === 403) throw new SignedOut();
  if (answer.status >= 400 && answer.status < 500 && !AGAIN.has(answer.status)) throw new Refused(await reason(answer));
  throw new Unreachable(String(answer.status));
}

/** A fresh token; and a look whether the same person is still there, before their answers are sent. */
export async function renew(annotator) {
  const answer = await reach("/api/session", { headers: { Accept: "application/json" } });
  if (answer.status === 401) throw new SignedOut();
  if (!answer.ok) throw new Unreachable(String(answer.status));
  const session = await answer.json();
  if (annotator && session.annotator !== annotator) throw new SignedOut();
  meta.content = session.csrf;
  return session;
}

async function send(path, body) {
  return reach(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": meta.content },
    body: JSON.stringify(body),
  });
}

async function reach(path, options) {
  try {
    return await fetch(path, { ...options, redirect: "error", signal: AbortSignal.timeout(PATIENCE) });
  } catch {
    throw new Unreachable("no answer");
  }
}

/** Why the server refuses, in the person's language; empty where something before it answered. */
async function reason(answer) {
  try {
    const { detail } = await answer.json();
    return typeof detail === "string" ? detail : "";
  } catch {
    return "";
  }
}

async function code(answer) {
  try {
    return (await answer.clone().json()).code;
  } catch {
    return null;
  }
}
