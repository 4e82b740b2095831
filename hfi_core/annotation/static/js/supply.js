// The next questions, fetched ahead with their pictures decoded, so that the next one is there at once.
import { post } from "./http.js";

export class Supply {
  #questions = [];
  #fetching = null;

  constructor(task, outbox, ahead) {
    Object.assign(this, { task, outbox, ahead, state: "loading", told: null, held: 0, current: null });
  }

  /** The next question, or null if there is none here; more are fetched meanwhile. */
  take() {
    this.current = this.#questions.shift() ?? null;
    return this.current;
  }

  get length() {
    return this.#questions.length;
  }

  /** Forget what was fetched: the server asks something else now. */
  clear() {
    this.#questions = [];
    this.current = null;
  }

  /** Fetch more once half of what lay ahead is used; whether any were asked for. Rejects if no server answers. */
  fill() {
    this.#fetching ??= this.#fetch().finally(() => (this.#fetching = null));
    return this.#fetching;
  }

  async #fetch() {
    if (this.told && this.#questions.length > this.ahead / 2) return false;
    const held = this.current ? [this.current, ...this.#questions] : this.#questions;
    const have = [...held.map((question) => question.refs), ...this.outbox.refs];
    const count = Math.max(1, this.ahead - this.#questions.length);
    const told = await post(`/api/questions/${this.task}`, { have, count }, this.outbox.annotator);
    const known = new Set(have.flat());
    const fresh = told.questions.filter((question) => !question.refs.some((ref) => known.has(ref)));
    fresh.forEach(preload);
    this.#questions.push(...fresh);
    this.told = told;
    this.state = told.state;
    this.held = have.length;
    return true;
  }
}

/** Start fetching a question's pictures; `ready` resolves with whether each can be shown. */
export function preload(question) {
  question.images = question.pictures.map(({ src }) => {
    const image = new Image();
    image.src = src;
    return image;
  });
  question.ready = question.images.map((image) => image.decode().then(() => true, () => false));
}
