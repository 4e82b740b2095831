// The answers of this tab, so that people can go back and change them. They survive a reload.
const MAX_ENTRIES = 2000;

export class History {
  #entries;
  #key;
  #stageKey;
  #position; // entries.length: the newest, unanswered question

  constructor(annotator, task) {
    this.#key = `hfi-history:${annotator}:${task}`;
    this.#stageKey = `hfi-stage:${annotator}:${task}`;
    const isOthers = (key) => /^hfi-(history|stage):/.test(key) && key.split(":")[1] !== annotator;
    Object.keys(sessionStorage).filter(isOthers).forEach((key) => sessionStorage.removeItem(key));
    this.#entries = JSON.parse(sessionStorage.getItem(this.#key) ?? "[]");
    this.#position = this.#entries.length;
  }

  /** How many answers back the shown question is; 0 at the newest question. */
  get back() {
    return this.#entries.length - this.#position;
  }

  get current() {
    return this.#entries[this.#position] ?? null;
  }

  get canGoBack() {
    return this.#position > 0;
  }

  undo() {
    this.#position -= 1;
    return this.current;
  }

  /** Go forward from the current entry, and replace it with `entry` if that is given. */
  forward(entry = null) {
    if (entry) this.#entries[this.#position] = entry;
    this.#position += 1;
    this.#save();
  }

  push(entry) {
    this.#entries.push(entry);
    this.#entries = this.#entries.slice(-MAX_ENTRIES);
    this.#position = this.#entries.length;
    this.#save();
  }

  /** Drop the answers of a qualification attempt that has ended, since they are final. Return whether it did so. */
  enterStage(stage) {
    const before = sessionStorage.getItem(this.#stageKey);
    if (before === stage) return false;
    try {
      sessionStorage.setItem(this.#stageKey, stage);
    } catch {
      sessionStorage.removeItem(this.#key); // the storage is full
      sessionStorage.setItem(this.#stageKey, stage);
    }
    if (!before?.startsWith("qualification")) return false;
    this.#entries = [];
    this.#position = 0;
    this.#save();
    return true;
  }

  #save() {
    const entries = this.#entries.map(({ question: { images, ready, ...question }, ...entry }) => ({ ...entry, question }));
    try {
      sessionStorage.setItem(this.#key, JSON.stringify(entries));
    } catch {
      this.#entries = this.#entries.slice(-Math.floor(this.#entries.length / 2)); // the storage is full: drop the older half
    }
  }
}
