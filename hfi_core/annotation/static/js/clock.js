// The server's time (the local clock may be wrong), the annotator's pace, and when a break is due.
const MAX_ANSWER_TIME = 60000; // milliseconds; the rest of a longer answer counts as an absence
const MIN_ABSENCE = 5 * 60000; // milliseconds after which the judging time starts again at zero
const MAX_TIMES = 50;

// The server's time is this plus `performance.now()`, which no change of the local clock moves.
let origin = Date.now() - performance.now();

/** Set the server's time. */
export function setServerTime(now) {
  origin = Date.parse(now) - performance.now();
}

/** Start to time a question. The result returns the times of an answer that is given now. */
export function startTimer() {
  const start = performance.now();
  const shown = origin + start;
  const format = (time) => new Date(time).toISOString();
  return () => ({ shown_at: format(shown), answered_at: format(shown + performance.now() - start) });
}

export class Pace {
  #answerTimes = [];
  #last = Date.now();
  #judgingTime;
  #key;

  constructor(annotator, breakMinutes) {
    this.#key = `hfi-judged:${annotator}`;
    this.breakMinutes = breakMinutes;
    const saved = JSON.parse(sessionStorage.getItem(this.#key) ?? "null");
    this.#judgingTime = saved && Date.now() - saved.at < MIN_ABSENCE ? saved.judged : 0;
  }

  /** Record an answer, and return whether a break is due. */
  recordAnswer() {
    const elapsed = Date.now() - this.#last;
    this.#last = Date.now();
    if (elapsed > MIN_ABSENCE) this.#judgingTime = 0;
    this.#answerTimes = [...this.#answerTimes, Math.min(elapsed, MAX_ANSWER_TIME)].slice(-MAX_TIMES);
    this.#judgingTime += Math.min(elapsed, MAX_ANSWER_TIME);
    this.#save();
    return this.#judgingTime >= this.breakMinutes * 60000;
  }

  /** Minutes of judging since the last break. */
  get judgingMinutes() {
    return Math.round(this.#judgingTime / 60000);
  }

  /** Start counting the judging time again after a break. */
  startAfterBreak() {
    this.#judgingTime = 0;
    this.#last = Date.now();
    this.#save();
  }

  /** Estimate the minutes that questions take, from the median of the last answers; null before three answers. */
  estimateMinutes(questions) {
    if (this.#answerTimes.length < 3) return null;
    const sorted = [...this.#answerTimes].sort((a, b) => a - b);
    return Math.ceil((questions * sorted[Math.floor(sorted.length / 2)]) / 60000);
  }

  #save() {
    sessionStorage.setItem(this.#key, JSON.stringify({ judged: this.#judgingTime, at: Date.now() }));
  }
}
