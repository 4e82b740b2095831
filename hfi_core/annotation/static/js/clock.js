// The server's time on a machine whose clock may be wrong, the annotator's pace, and when a break is due.
const LONGEST = 60000; // a longer look is an absence
const ABSENCE = 5 * 60000; // after which the judging begins anew
const REMEMBERED = 50;

let skew = 0;

/** Learn how far this machine's clock is off. */
export function setServerTime(now) {
  skew = Date.parse(now) - Date.now();
}

/** The time as the server would say it. */
export function now() {
  return new Date(Date.now() + skew).toISOString();
}

export class Pace {
  #looks = [];
  #last = Date.now();
  #judged;
  #key;

  constructor(annotator, breakMinutes) {
    this.#key = `hfi-judged:${annotator}`;
    this.breakMinutes = breakMinutes;
    const kept = JSON.parse(sessionStorage.getItem(this.#key) ?? "null");
    this.#judged = kept && Date.now() - kept.at < ABSENCE ? kept.judged : 0;
  }

  /** A question was answered; whether a break is due now. */
  answered() {
    const since = Date.now() - this.#last;
    this.#last = Date.now();
    if (since > ABSENCE) this.#judged = 0;
    this.#looks = [...this.#looks, Math.min(since, LONGEST)].slice(-REMEMBERED);
    this.#judged += Math.min(since, LONGEST);
    this.#keep();
    return this.#judged >= this.breakMinutes * 60000;
  }

  /** Minutes of judging since the last break. */
  get minutes() {
    return Math.round(this.#judged / 60000);
  }

  rested() {
    this.#judged = 0;
    this.#last = Date.now();
    this.#keep();
  }

  /** Minutes that so many questions take, by the median; null before there is one. */
  minutesFor(questions) {
    if (this.#looks.length < 3) return null;
    const sorted = [...this.#looks].sort((a, b) => a - b);
    return Math.ceil((questions * sorted[Math.floor(sorted.length / 2)]) / 60000);
  }

  #keep() {
    sessionStorage.setItem(this.#key, JSON.stringify({ judged: this.#judged, at: Date.now() }));
  }
}
