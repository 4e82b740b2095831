// The queue of answers. Each is in localStorage before it is sent, until the server has acknowledged it. It is sent
// again under the same id, so that the server stores it once. The queue survives a reload.
import { post, RequestRefused, SignedOut } from "./http.js";

const MIN_WAIT = 1000;
const MAX_WAIT = 8000;

/** The keys of waiting answers, of everybody who uses this browser, begin with this. */
export const OUTBOX_PREFIX = "hfi-outbox:";

export class Outbox extends EventTarget {
  #prefix;
  #refusedPrefix;
  #memory = new Map(); // fallback where localStorage is missing or full
  #sending = false;
  #retryDelay = MIN_WAIT;
  #timer = null;
  #count = 0;

  constructor(annotator) {
    super();
    this.annotator = annotator;
    this.#prefix = `${OUTBOX_PREFIX}${annotator}:`;
    this.#refusedPrefix = `hfi-refused:${annotator}:`;
    this.state = this.waiting ? "waiting" : "saved";
    this.isPersistent = true;
    addEventListener("online", () => this.flush());
    addEventListener("storage", () => this.#setState());
    document.addEventListener("visibilitychange", () => document.hidden || this.flush());
    addEventListener("beforeunload", (event) => this.#memory.size && event.preventDefault());
  }

  /** Add a request. It is in localStorage when the call returns, and is then sent. */
  add(path, body, refs) {
    // Each request has its own key, ordered by time: two tabs never overwrite each other's requests.
    const name = `${String(Date.now()).padStart(15, "0")}:${String(this.#count++).padStart(6, "0")}:${Math.random()}`;
    const item = JSON.stringify({ path, body, refs });
    try {
      localStorage.setItem(this.#prefix + name, item);
    } catch {
      this.isPersistent = false;
      this.#memory.set(this.#prefix + name, item);
    }
    this.#setState(this.state === "saved" ? "saving" : this.state);
    this.flush();
  }

  get waiting() {
    return this.#keys(this.#prefix).length;
  }

  /** The server's reasons for refusals. */
  get refusals() {
    return this.#keys(this.#refusedPrefix).map((key) => JSON.parse(this.#read(key)).reason);
  }

  /** The waiting questions, by their pictures. The server must not ask them again. */
  get refs() {
    return this.#keys(this.#prefix).map((key) => JSON.parse(this.#read(key)).refs);
  }

  dismissRefusals() {
    this.#keys(this.#refusedPrefix).forEach((key) => this.#remove(key));
    this.#setState();
  }

  /** Send everything, oldest first. Resolves when nothing is left or the server does not answer. */
  async flush() {
    if (this.#sending) return;
    this.#sending = true;
    clearTimeout(this.#timer);
    try {
      if (navigator.locks) await navigator.locks.request(this.#prefix, () => this.#send());
      else await this.#send();
    } finally {
      this.#sending = false;
    }
    if (this.waiting && this.state === "saving") this.flush();
  }

  async #send() {
    for (;;) {
      const [key] = this.#keys(this.#prefix);
      if (!key) break;
      const item = this.#read(key);
      if (!item) continue;
      const { path, body } = JSON.parse(item);
      try {
        await post(path, body, this.annotator);
      } catch (error) {
        if (error instanceof RequestRefused) {
          this.#moveAside(key, body, error.message);
        } else {
          this.#setState(error instanceof SignedOut ? "signed_out" : "waiting");
          this.#timer = setTimeout(() => this.flush(), this.#retryDelay);
          this.#retryDelay = Math.min(2 * this.#retryDelay, MAX_WAIT);
          return;
        }
      }
      this.#retryDelay = MIN_WAIT;
      this.#remove(key);
      if (this.state !== "saving" && this.waiting) this.#setState("saving");
    }
    this.#setState("saved");
  }

  /** Move a refused request out of the queue; only into memory if localStorage is full. */
  #moveAside(key, body, reason) {
    const [refusedKey, item] = [key.replace(this.#prefix, this.#refusedPrefix), JSON.stringify({ body, reason })];
    this.#remove(key); // first, to free storage
    try {
      localStorage.setItem(refusedKey, item);
    } catch {
      this.#memory.set(refusedKey, item);
    }
  }

  #keys(prefix) {
    return [...Object.keys(localStorage), ...this.#memory.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  #read(key) {
    return this.#memory.get(key) ?? localStorage.getItem(key);
  }

  #remove(key) {
    this.#memory.delete(key);
    localStorage.removeItem(key);
  }

  #setState(state = this.waiting ? this.state : "saved") {
    const before = this.state;
    this.state = state;
    this.dispatchEvent(new CustomEvent("change", { detail: { before } }));
  }
}
