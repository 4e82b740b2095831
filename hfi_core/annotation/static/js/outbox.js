// Answers on their way. Each lies in localStorage before it is sent, and leaves when the server has acknowledged it;
// it is sent again under the same id, so that the server keeps it once. It outlives a reload.
import { post, Refused, SignedOut } from "./http.js";

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 8000;

export class Outbox extends EventTarget {
  #prefix;
  #failed;
  #memory = new Map(); // where the browser keeps nothing, or no more
  #sending = false;
  #wait = FIRST_WAIT;
  #timer = null;
  #count = 0;

  constructor(annotator) {
    super();
    this.annotator = annotator;
    this.#prefix = `hfi-outbox:${annotator}:`;
    this.#failed = `hfi-refused:${annotator}:`;
    this.state = this.waiting ? "waiting" : "saved";
    this.lasting = true;
    addEventListener("online", () => this.flush());
    addEventListener("storage", () => this.#tell());
    document.addEventListener("visibilitychange", () => document.hidden || this.flush());
    addEventListener("beforeunload", (event) => this.#memory.size && event.preventDefault());
  }

  /** Keep a request; it is on this machine's disk when the call returns, and on its way to the server. */
  put(path, body, refs) {
    // A key each, in the order of the clock: two tabs never overwrite each other's list.
    const place = `${String(Date.now()).padStart(15, "0")}:${String(this.#count++).padStart(6, "0")}:${Math.random()}`;
    const item = JSON.stringify({ path, body, refs });
    try {
      localStorage.setItem(this.#prefix + place, item);
    } catch {
      this.lasting = false;
      this.#memory.set(this.#prefix + place, item);
    }
    this.#tell(this.state === "saved" ? "saving" : this.state);
    this.flush();
  }

  get waiting() {
    return this.#keys(this.#prefix).length;
  }

  /** Why the server refused what it refused. */
  get refusals() {
    return this.#keys(this.#failed).map((key) => JSON.parse(this.#read(key)).reason);
  }

  /** The questions, by their pictures, that wait here: they are not to be asked again. */
  get refs() {
    return this.#keys(this.#prefix).map((key) => JSON.parse(this.#read(key)).refs);
  }

  dismiss() {
    this.#keys(this.#failed).forEach((key) => this.#forget(key));
    this.#tell();
  }

  /** Send everything, oldest first; resolves when nothing is left or the server does not answer. */
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
        if (error instanceof Refused) {
          this.#moveAside(key, body, error.message);
        } else {
          this.#tell(error instanceof SignedOut ? "signed_out" : "waiting");
          this.#timer = setTimeout(() => this.flush(), this.#wait);
          this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
          return;
        }
      }
      this.#wait = FIRST_WAIT;
      this.#forget(key);
      if (this.state !== "saving" && this.waiting) this.#tell("saving");
    }
    this.#tell("saved");
  }

  /** Keep what was refused apart, so that it holds up nothing: in this page alone where the storage is full. */
  #moveAside(key, body, reason) {
    const [place, item] = [key.replace(this.#prefix, this.#failed), JSON.stringify({ body, reason })];
    this.#forget(key); // first: it makes the room
    try {
      localStorage.setItem(place, item);
    } catch {
      this.#memory.set(place, item);
    }
  }

  #keys(prefix) {
    const kept = Object.keys(localStorage);
    return [...kept, ...this.#memory.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  #read(key) {
    return this.#memory.get(key) ?? localStorage.getItem(key);
  }

  #forget(key) {
    this.#memory.delete(key);
    localStorage.removeItem(key);
  }

  #tell(state = this.waiting ? this.state : "saved") {
    const before = this.state;
    this.state = state;
    this.dispatchEvent(new CustomEvent("change", { detail: { before } }));
  }
}
