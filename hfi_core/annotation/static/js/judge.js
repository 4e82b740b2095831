// The annotation page: one question after the other, each answer on its way before the next picture is shown.
import { BinaryView } from "./binary.js";
import { Pace, now, setServerTime } from "./clock.js";
import { History } from "./history.js";
import { SignedOut, renew } from "./http.js";
import { onKeys } from "./keys.js";
import { Outbox } from "./outbox.js";
import { hidePanel, showLoading, showPanel } from "./panel.js";
import { RankingView } from "./ranking.js";
import { drawProgress, watch } from "./status.js";
import { Supply, preload } from "./supply.js";
import { boot, say, t } from "./words.js";

const AHEAD = { binary: 8, ranking: 2 }[boot.kind];
const AGAIN = 3000; // milliseconds before the server is asked again

const byId = (id) => document.getElementById(id);
const outbox = new Outbox(boot.annotator);
const supply = new Supply(boot.task, outbox, AHEAD);
const past = new History(boot.annotator, boot.task);
const pace = new Pace(boot.annotator, boot.break_minutes);
const view = new (boot.kind === "ranking" ? RankingView : BinaryView)(commit);
const mine = { judgements: 0, pictures: 0, questions: 0 }; // since the server last told its figures

let question = null; // what is shown
let shownAt = null;
let stage = null; // "qualification 1", "judging": what the questions are for
let again = null;

function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function present(shown, entry = null) {
  question = shown;
  if (!shown.images) preload(shown);
  hidePanel();
  shownAt = now();
  byId("note-text").value = entry?.note ?? "";
  byId("note").hidden = !entry?.note;
  byId("note-button").setAttribute("aria-expanded", !byId("note").hidden);
  byId("again").hidden = !entry;
  if (entry) byId("again").textContent = t(entry.given ? "judge.again" : "judge.again.skipped", { back: past.back });
  byId("skip").firstElementChild.textContent = t(entry ? "judge.forward" : "judge.skip");
  byId("undo").setAttribute("aria-disabled", !past.canGoBack);
  view.show(shown, entry?.given?.map(({ answer }) => answer));
  drawProgress(supply, pace, mine);
}

/** Go to what comes after the question that was just dealt with. */
function goOn(...said) {
  if (past.current) {
    present(past.current.question, past.current);
    say(...said);
    return;
  }
  const next = past.back === 0 && supply.current && supply.current !== question ? supply.current : supply.take();
  question = next;
  if (next) {
    present(next);
    say(...said, t("say.next"));
  } else {
    say(...said);
    wait();
  }
  refill();
}

/** Nothing to show: say why. */
function wait() {
  const values = { ...standing(), n: boot.daily_limit, annotator: boot.annotator };
  if (["done", "limit", "closed"].includes(supply.state)) showPanel(supply.state, values);
  else if (outbox.state === "waiting" || again) showPanel("offline");
  else showLoading();
}

function standing() {
  const { last, of } = supply.told?.qualification ?? {};
  return { right: last?.[0] ?? 0, asked: last?.[1] ?? 0, of };
}

/** Have enough questions here; and tell the annotator where a qualification begins or ends. */
async function refill() {
  clearTimeout(again);
  again = null;
  let fetched;
  try {
    fetched = await supply.fill();
  } catch (error) {
    if (error instanceof SignedOut) outbox.flush();
    again = setTimeout(refill, AGAIN);
    if (!question) wait();
    return;
  }
  if (outbox.state === "waiting") outbox.flush(); // the server is there again
  if (fetched) Object.assign(mine, { judgements: outbox.waiting, pictures: outbox.waiting, questions: outbox.waiting });
  const { state, qualification } = supply.told;
  drawProgress(supply, pace, mine);
  const entered = state === "qualification" ? `qualification ${qualification.attempt}` : state;
  if (stage !== entered && stage?.startsWith("qualification")) {
    past.clear(); // what was answered in an attempt stays as it is
    question = null;
  }
  const before = stage;
  if (question) return;
  if (before !== entered && (state === "qualification" || (before?.startsWith("qualification") && state === "judging"))) {
    const name = state === "judging" ? "passed" : qualification.last ? "retry" : "qualification";
    showPanel(name, standing(), () => begin(entered));
    return;
  }
  stage = entered;
  if (supply.length) begin(entered);
  else if (supply.held && !outbox.waiting) refill(); // what was on its way then is saved now
  else wait();
}

function begin(entered) {
  stage = entered;
  question = supply.take();
  if (question) present(question);
  else refill();
}

/** The view's answer, one a part: keep it, and go on. */
function commit(answers) {
  if (!question) return;
  const entry = past.current;
  const note = byId("note-text").value.trim();
  const times = { shown_at: shownAt, answered_at: now() };
  const judgements = [];
  const given = question.parts.map((part, n) => {
    const before = entry?.given?.[n];
    if (before && note === entry.note && JSON.stringify(before.answer) === JSON.stringify(answers[n])) return before;
    const id = uuid();
    judgements.push({
      id, kind: boot.kind, concept: part.concept, proof: part.proof, ...times, ...view.fields(part, answers[n]),
      ...(note && { note }), ...(before && { supersedes: before.id }),
    });
    return { id, answer: answers[n] };
  });
  if (judgements.length) outbox.put("/api/answers", { judgements }, question.refs);
  const said = t("say.saved", { answer: view.words(answers) });
  settle({ question, given, note }, entry, said);
}

function skip() {
  if (!question) return;
  const entry = past.current;
  if (entry) {
    past.forward();
    goOn();
    return;
  }
  const parts = question.parts.map(({ concept, pictures, proof }) => ({ concept, pictures, proof }));
  outbox.put("/api/skips", parts, question.refs);
  settle({ question, given: null, note: "" }, null, t("say.skipped"));
}

function settle(made, entry, said) {
  if (entry) {
    past.forward(made);
  } else {
    past.push(made);
    mine.questions += 1;
    mine.pictures += question.pictures.length;
    if (made.given) mine.judgements += question.refs.length;
  }
  const tired = pace.answered();
  goOn(said);
  if (tired) propose();
}

function undo() {
  if (!byId("work").hidden || past.canGoBack) {
    if (!past.canGoBack) return say(t("say.no_undo"));
    const entry = past.undo();
    present(entry.question, entry);
    say(t("say.undone", { answer: entry.given ? view.words(entry.given.map(({ answer }) => answer)) : t("judge.skip") }));
  }
  return undefined;
}

function note() {
  const hidden = !byId("note").hidden && document.activeElement !== byId("note-text") && !byId("note-text").value;
  byId("note").hidden = hidden;
  byId("note-button").setAttribute("aria-expanded", !hidden);
  if (!hidden) byId("note-text").focus();
}

function guidelines() {
  const place = byId("guidelines");
  place.open = true;
  place.querySelector("summary").focus();
  place.scrollIntoView({ block: "nearest" });
}

function propose() {
  const dialog = byId("break");
  dialog.querySelector("p").textContent = t("break.text", { n: pace.minutes });
  dialog.showModal();
}

byId("undo").addEventListener("click", undo);
byId("skip").addEventListener("click", (event) => event.detail > 1 || skip());
byId("note-button").addEventListener("click", note);
byId("break-over").addEventListener("click", () => byId("break").close());
byId("break").addEventListener("close", () => pace.rested());
document.querySelectorAll("[data-enlarge]").forEach((thumb) =>
  thumb.addEventListener("click", () => {
    const [dialog, image] = [byId("enlarged"), thumb.querySelector("img")];
    Object.assign(dialog.querySelector("img"), { src: image.src, alt: image.alt, className: "" });
    dialog.showModal();
  }),
);
const whileShown = (action) => (event) => byId("work").hidden || action(event);
const answering = Object.entries(view.keys()).map(([key, action]) => [key, whileShown(action)]);
onKeys({ ...Object.fromEntries(answering), undo, skip: whileShown(skip), note: whileShown(note), guidelines, leave: () => byId("question").focus() });

watch(outbox);
let wasSaved = true;
outbox.addEventListener("change", () => {
  const saved = outbox.state === "saved";
  if (saved && !wasSaved && !question) refill();
  wasSaved = saved;
});
if (matchMedia("(max-width: 900px)").matches) ["keys", "guidelines"].forEach((id) => (byId(id).open = false));
renew(boot.annotator).then(({ now: time }) => setServerTime(time)).catch(() => {});
outbox.flush().then(refill);
