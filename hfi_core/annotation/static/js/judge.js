// The page on which people judge: one question after the other. Each answer is queued before the next picture appears.
import { BinaryView } from "./binary.js";
import { Pace, setServerTime, startTimer } from "./clock.js";
import { History } from "./history.js";
import { SignedOut, renewSession } from "./http.js";
import { announce, boot, t } from "./i18n.js";
import { onKeys } from "./keys.js";
import { Outbox } from "./outbox.js";
import { hidePanel, showLoading, showPanel } from "./panel.js";
import { QuestionQueue, preload } from "./queue.js";
import { RankingView } from "./ranking.js";
import { showProgress, showStatus } from "./status.js";

const AHEAD = { binary: 8, ranking: 2 }[boot.kind];
const RETRY_DELAY = 3000; // milliseconds

const byId = (id) => document.getElementById(id);
const outbox = new Outbox(boot.annotator);
const queue = new QuestionQueue(boot.task, outbox, AHEAD);
const history = new History(boot.annotator, boot.task);
const pace = new Pace(boot.annotator, boot.break_minutes);
const view = new (boot.kind === "ranking" ? RankingView : BinaryView)(submit);
const unreported = { judgements: 0, pictures: 0, questions: 0 }; // not yet in the server's figures

let question = null; // the question that is shown
let readTimes = null; // returns the times of an answer to the shown question
let stage = null; // the purpose of the questions: "qualification 1", "judging"
let retryTimer = null;

function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Show a question; `entry` is its earlier answer. */
function showQuestion(next, entry = null) {
  question = next;
  if (!next.images) preload(next);
  hidePanel();
  readTimes = startTimer();
  byId("note-text").value = entry?.note ?? "";
  byId("note").hidden = !entry?.note;
  byId("note-button").setAttribute("aria-expanded", !byId("note").hidden);
  byId("again").hidden = !entry;
  if (entry) byId("again").textContent = t(entry.given ? "judge.again" : "judge.again.skipped", { back: history.back });
  byId("skip").firstElementChild.textContent = t(entry ? "judge.forward" : "judge.skip");
  byId("undo").setAttribute("aria-disabled", !history.canGoBack);
  view.show(next, entry?.given?.map(({ answer }) => answer));
  showProgress(queue, pace, unreported);
}

/** Show what comes after the present question, and announce `messages`. */
function showNext(...messages) {
  if (history.current) {
    showQuestion(history.current.question, history.current);
    announce(...messages);
    return;
  }
  const next = history.back === 0 && queue.current && queue.current !== question ? queue.current : queue.take();
  question = next;
  if (next) {
    showQuestion(next);
    announce(...messages, t("say.next"));
  } else {
    announce(...messages);
    showWaiting();
  }
  refill();
}

/** Show why there is no question. */
function showWaiting() {
  const values = { ...qualificationValues(), n: boot.daily_limit, annotator: boot.annotator };
  if (["done", "limit", "closed"].includes(queue.state)) showPanel(queue.state, values);
  else if (outbox.state === "waiting" || retryTimer) showPanel("offline");
  else showLoading();
}

/** The values of the panel's texts about a qualification. */
function qualificationValues() {
  const { last, of } = queue.response?.qualification ?? {};
  return { right: last?.[0] ?? 0, asked: last?.[1] ?? 0, of };
}

/** Fill the queue, and show where a qualification begins or ends. */
async function refill() {
  clearTimeout(retryTimer);
  retryTimer = null;
  let fetched;
  try {
    fetched = await queue.fill();
  } catch (error) {
    if (error instanceof SignedOut) outbox.flush();
    retryTimer = setTimeout(refill, RETRY_DELAY);
    if (!question) showWaiting();
    return;
  }
  if (outbox.state === "waiting") outbox.flush(); // the server answers again
  if (fetched) setServerTime(queue.response.now);
  if (fetched) Object.assign(unreported, { judgements: outbox.waiting, pictures: outbox.waiting, questions: outbox.waiting });
  const { state, qualification } = queue.response;
  showProgress(queue, pace, unreported);
  const newStage = state === "qualification" ? `qualification ${qualification.attempt}` : state;
  if (history.enterStage(newStage) || (stage !== newStage && stage?.startsWith("qualification"))) question = null;
  const oldStage = stage;
  if (question) return;
  if (oldStage !== newStage && (state === "qualification" || (oldStage?.startsWith("qualification") && state === "judging"))) {
    const retry = qualification.repeats ? "retry_repeated" : "retry";
    const name = state === "judging" ? "passed" : qualification.last ? retry : "qualification";
    showPanel(name, qualificationValues(), () => begin(newStage));
    return;
  }
  stage = newStage;
  if (queue.length) begin(newStage);
  else if (queue.pending && !outbox.waiting) refill(); // the pending answers are saved now
  else showWaiting();
}

function begin(newStage) {
  stage = newStage;
  question = queue.take();
  if (question) showQuestion(question);
  else refill();
}

/** Queue the view's answers, one for each part, and show the next question. */
function submit(answers) {
  if (!question) return;
  const entry = history.current;
  const note = byId("note-text").value.trim();
  const times = readTimes();
  const judgements = [];
  const given = question.parts.map((part, n) => {
    const before = entry?.given?.[n];
    if (before && note === entry.note && JSON.stringify(before.answer) === JSON.stringify(answers[n])) return before;
    const id = uuid();
    judgements.push({
      id, kind: boot.kind, concept: part.concept, proof: part.proof, ...times, ...view.judgementFields(part, answers[n]),
      ...(note && { note }), ...(before && { supersedes: before.id }),
    });
    return { id, answer: answers[n] };
  });
  if (judgements.length) outbox.add("/api/answers", { judgements }, question.refs);
  recordEntry({ question, given, note }, entry, t("say.saved", { answer: view.describe(answers) }));
}

function skip() {
  if (!question) return;
  const entry = history.current;
  if (entry) {
    history.forward();
    showNext();
    return;
  }
  const parts = question.parts.map(({ concept, pictures, proof }) => ({ concept, pictures, proof }));
  outbox.add("/api/skips", parts, question.refs);
  recordEntry({ question, given: null, note: "" }, null, t("say.skipped"));
}

/** Put an answer into the history, in the place of `replaced`, and show the next question. */
function recordEntry(entry, replaced, message) {
  if (replaced) {
    history.forward(entry);
  } else {
    history.push(entry);
    unreported.questions += 1;
    unreported.pictures += question.pictures.length;
    if (entry.given) unreported.judgements += question.refs.length;
  }
  const isBreakDue = pace.recordAnswer();
  showNext(message);
  if (isBreakDue) proposeBreak();
}

function undo() {
  if (!byId("work").hidden || history.canGoBack) {
    if (!history.canGoBack) return announce(t("say.no_undo"));
    const entry = history.undo();
    showQuestion(entry.question, entry);
    announce(t("say.undone", { answer: entry.given ? view.describe(entry.given.map(({ answer }) => answer)) : t("judge.skip") }));
  }
  return undefined;
}

function toggleNote() {
  const hidden = !byId("note").hidden && document.activeElement !== byId("note-text") && !byId("note-text").value;
  byId("note").hidden = hidden;
  byId("note-button").setAttribute("aria-expanded", !hidden);
  if (!hidden) byId("note-text").focus();
}

function openGuidelines() {
  const guidelines = byId("guidelines");
  guidelines.open = true;
  guidelines.querySelector("summary").focus();
  guidelines.scrollIntoView({ block: "nearest" });
}

function proposeBreak() {
  const dialog = byId("break");
  dialog.querySelector("p").textContent = t("break.text", { n: pace.judgingMinutes });
  dialog.showModal();
}

byId("undo").addEventListener("click", undo);
byId("skip").addEventListener("click", (event) => event.detail > 1 || skip());
byId("note-button").addEventListener("click", toggleNote);
byId("break-over").addEventListener("click", () => byId("break").close());
byId("break").addEventListener("close", () => pace.startAfterBreak());
document.querySelectorAll("[data-enlarge]").forEach((thumb) =>
  thumb.addEventListener("click", () => {
    const [dialog, image] = [byId("enlarged"), thumb.querySelector("img")];
    Object.assign(dialog.querySelector("img"), { src: image.src, alt: image.alt, className: "" });
    dialog.showModal();
  }),
);
const ifQuestionShown = (action) => (event) => byId("work").hidden || action(event);
const answerActions = Object.entries(view.keyActions()).map(([key, action]) => [key, ifQuestionShown(action)]);
onKeys({ ...Object.fromEntries(answerActions), undo, skip: ifQuestionShown(skip), note: ifQuestionShown(toggleNote), guidelines: openGuidelines, leaveField: () => byId("question").focus() });

showStatus(outbox);
let wasSaved = true;
outbox.addEventListener("change", () => {
  const saved = outbox.state === "saved";
  if (saved && !wasSaved && !question) refill();
  wasSaved = saved;
});
if (matchMedia("(max-width: 900px)").matches) ["keys", "guidelines"].forEach((id) => (byId(id).open = false));
renewSession(boot.annotator).then(({ now: time }) => setServerTime(time)).catch(() => {});
outbox.flush().then(refill);
