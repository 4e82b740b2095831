// What was answered in this session (a tab), so that any of it can be looked at and answered anew; outlives a reload.
const MOST = 2000;

export class History {
  #entries;
  #key;
  #place; // entries.length: at the newest, unanswered question

  constructor(annotator, task) {
    this.#key = `hfi-history:${annotator}:${task}`;
    this.#entries = JSON.parse(sessionStorage.getItem(this.#key) ?? "[]");
    this.#place = this.#entries.length;
  }

  /** How many answers back one is looking; 0 at the newest question. */
  get back() {
    return this.#entries.length - this.#place;
  }

  get current() {
    return this.#entries[this.#place] ?? null;
  }

  get canGoBack() {
    return this.#place > 0;
  }

  undo() {
    this.#place -= 1;
    return this.current;
  }

  /** Leave the entry that one looks at, as it is or replaced. */
  forward(entry = null) {
    if (entry) this.#entries[this.#place] = entry;
    this.#place += 1;
    this.#keep();
  }

  push(entry) {
    this.#entries.push(entry);
    this.#entries = this.#entries.slice(-MOST);
    this.#place = this.#entries.length;
    this.#keep();
  }

  clear() {
    this.#entries = [];
    this.#place = 0;
    this.#keep();
  }

  #keep() {
    const plain = this.#entries.map(({ question: { images, ready, ...question }, ...entry }) => ({ ...entry, question }));
    try {
      sessionStorage.setItem(this.#key, JSON.stringify(plain));
    } catch {
      this.#entries = this.#entries.slice(-Math.floor(this.#entries.length / 2)); // full: the oldest go
    }
  }
}
