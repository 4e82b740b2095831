// Requests to our own server, with the CSRF token of our own page.
const TIMEOUT = 15000;
const csrfMeta = document.querySelector("meta[name=csrf]");
const RETRYABLE = new Set([408, 425, 429]); // client errors that can succeed when the request is sent again

/** The server will never accept this request. */
export class RequestRefused extends Error {}
/** Nobody is signed in, or another person is. */
export class SignedOut extends Error {}
/** The server did not answer, or asks to try again later. */
export class Unreachable extends Error {}

/** POST JSON and return the JSON of the response. */
export async function post(path, body, annotator) {
  let response = await send(path, body);
  if (response.status === 403 && (await errorCode(response)) === "csrf") {
    await renewSession(annotator);
    response = await send(path, body);
  }
  if (response.ok) return response.json();
  if (response.status === 401 || response.status === 403) throw new SignedOut();
  if (response.status >= 400 && response.status < 500 && !RETRYABLE.has(response.status)) throw new RequestRefused(await refusalReason(response));
  throw new Unreachable(String(response.status));
}

/** Get a new token, and check that the same person is still signed in before their answers are sent. */
export async function renewSession(annotator) {
  const response = await request("/api/session", { headers: { Accept: "application/json" } });
  if (response.status === 401) throw new SignedOut();
  if (!response.ok) throw new Unreachable(String(response.status));
  const session = await response.json();
  if (annotator && session.annotator !== annotator) throw new SignedOut();
  csrfMeta.content = session.csrf;
  return session;
}

async function send(path, body) {
  return request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": csrfMeta.content },
    body: JSON.stringify(body),
  });
}

async function request(path, options) {
  try {
    return await fetch(path, { ...options, redirect: "error", signal: AbortSignal.timeout(TIMEOUT) });
  } catch {
    throw new Unreachable("no response");
  }
}

/** Return the server's reason for a refusal, in the person's language; empty if a proxy answered. */
async function refusalReason(response) {
  try {
    const { detail } = await response.json();
    return typeof detail === "string" ? detail : "";
  } catch {
    return "";
  }
}

async function errorCode(response) {
  try {
    return (await response.clone().json()).code;
  } catch {
    return null;
  }
}
