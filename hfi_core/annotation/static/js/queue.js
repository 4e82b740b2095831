// The queue of next questions, fetched ahead with decoded pictures, so that the next one appears at once.
import { post } from "./http.js";

export class QuestionQueue {
  #questions = [];
  #fetching = null;

  constructor(task, outbox, ahead) {
    Object.assign(this, { task, outbox, ahead, state: "loading", response: null, pending: 0, current: null });
  }

  /** Take the next question; null if the queue is empty. */
  take() {
    this.current = this.#questions.shift() ?? null;
    return this.current;
  }

  get length() {
    return this.#questions.length;
  }

  /** Fetch more once half of the queue is used, and return whether a request was sent. Rejects if it fails. */
  fill() {
    this.#fetching ??= this.#fetch().finally(() => (this.#fetching = null));
    return this.#fetching;
  }

  async #fetch() {
    if (this.response && this.#questions.length > this.ahead / 2) return false;
    const questions = this.current ? [this.current, ...this.#questions] : this.#questions;
    const have = [...questions.map((question) => question.refs), ...this.outbox.refs];
    const count = Math.max(1, this.ahead - this.#questions.length);
    const response = await post(`/api/questions/${this.task}`, { have, count }, this.outbox.annotator);
    const knownRefs = new Set(have.flat());
    const newQuestions = response.questions.filter((question) => !question.refs.some((ref) => knownRefs.has(ref)));
    newQuestions.forEach(preload);
    this.#questions.push(...newQuestions);
    this.response = response;
    this.state = response.state;
    this.pending = have.length;
    return true;
  }
}

/** Start to load a question's pictures. The promises in `ready` tell whether each can be shown. */
export function preload(question) {
  question.images = question.pictures.map(({ src }) => {
    const image = new Image();
    image.src = src;
    return image;
  });
  question.ready = question.images.map((image) => image.decode().then(() => true, () => false));
}
