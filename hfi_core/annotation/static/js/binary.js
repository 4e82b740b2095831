// The view of a binary question: one picture, and an answer for each concept.
import { cover, coversPictures, hint, sharpen } from "./reveal.js";
import { announce, boot, createElement, t } from "./i18n.js";

const byId = (id) => document.getElementById(id);
const ANSWERS = ["yes", "no", "cant_tell"];

export class BinaryView {
  #question;
  #answers = []; // only for several concepts
  #covered = coversPictures;

  /** `submit` is called with one answer for each part. */
  constructor(submit) {
    this.submit = submit;
    byId("cover").addEventListener("click", () => this.toggleCover());
    byId("reveal").hidden = !coversPictures;
    byId("reveal").addEventListener("click", () => this.toggleCover());
    this.hasSeveralConcepts = Object.keys(boot.texts).length > 1;
    if (this.hasSeveralConcepts) byId("save").addEventListener("click", (event) => event.detail > 1 || this.#submitAll());
    else ANSWERS.forEach((name) => byId(name).addEventListener("click", (event) => event.detail > 1 || this.#submitAnswer(name)));
    const prompt = byId("prompt");
    prompt.open = localStorage.getItem("hfi-prompt") === "open";
    prompt.addEventListener("toggle", () => localStorage.setItem("hfi-prompt", prompt.open ? "open" : "closed"));
  }

  /** Show a question; `given` has the earlier answer of each part. */
  show(question, given) {
    this.#question = question;
    const image = question.images[0];
    this.#covered = coversPictures;
    image.id = "shown";
    image.draggable = false;
    cover(image, coversPictures);
    sharpen(image);
    byId("shown").replaceWith(image);
    this.#updateLabels();
    byId("prompt").hidden = !question.pictures[0].prompt;
    byId("prompt").querySelector("p").textContent = question.pictures[0].prompt;
    this.#setMissing(false);
    question.ready[0].then((isLoaded) => {
      if (question !== this.#question) return;
      sharpen(image);
      this.#setMissing(!isLoaded);
    });
    if (this.hasSeveralConcepts) this.#buildRows(given);
    else ANSWERS.forEach((name) => byId(name).setAttribute("aria-pressed", given?.[0]?.answer === name));
  }

  /** Describe the answers in words. */
  describe(given) {
    if (!this.hasSeveralConcepts) return t(`judge.${given[0].answer}`);
    return this.#question.parts.map((part, n) => `${boot.texts[part.concept]}: ${t(`judge.${given[n].answer}`)}`).join(", ");
  }

  /** Return the fields of a judgement. */
  judgementFields(part, answer) {
    return { picture: part.pictures[0], sha256: part.sha256[0], ...answer };
  }

  toggleCover() {
    if (!coversPictures) return;
    this.#covered = !this.#covered;
    cover(byId("shown"), this.#covered);
    this.#updateLabels();
    announce(t(this.#covered ? "say.hidden" : "say.revealed"));
  }

  keyActions() {
    const common = { reveal: () => this.toggleCover(), " ": () => this.toggleCover() };
    if (!this.hasSeveralConcepts) return { ...common, ...Object.fromEntries(ANSWERS.map((name) => [name, () => this.#submitAnswer(name)])) };
    const keys = { ...common, cant_tell: () => this.#setAll("cant_tell"), Enter: () => this.#submitAll() };
    for (let n = 1; n <= 9; n++) {
      keys[n] = () => this.#toggleAnswer(n - 1, "yes");
      keys[`Shift+${n}`] = () => this.#toggleAnswer(n - 1, "cant_tell");
    }
    return keys;
  }

  #submitAnswer(answer) {
    if (!byId(answer).disabled) this.submit([{ answer }]);
  }

  #submitAll() {
    if (!byId("save").disabled) this.submit(this.#answers.map((answer) => ({ answer })));
  }

  #updateLabels() {
    byId("shown").alt = t(this.#covered ? "judge.hidden.alt" : "judge.revealed.alt");
    byId("cover").setAttribute("aria-pressed", !this.#covered);
    byId("veil").textContent = this.#covered ? hint() : "";
    byId("reveal").firstElementChild.textContent = t(this.#covered ? "judge.reveal" : "judge.hide");
  }

  #setMissing(missing) {
    byId("picture").classList.toggle("missing", missing);
    if (missing) byId("veil").textContent = t("judge.missing");
    (this.hasSeveralConcepts ? ["save"] : ANSWERS).forEach((name) => (byId(name).disabled = missing));
  }

  #buildRows(given) {
    this.#answers = this.#question.parts.map((_, n) => given?.[n]?.answer ?? "no");
    const rows = this.#question.parts.map((part, n) => {
      const row = createElement("div", "concept-row");
      const label = createElement("label", "check");
      const box = createElement("input", "", "", { type: "checkbox", "data-enter-saves": "" });
      box.addEventListener("change", () => this.#setAnswer(n, box.checked ? "yes" : "no"));
      const name = createElement("span", "", boot.texts[part.concept]);
      label.append(box, name);
      if (n < 9) label.append(createElement("kbd", "", String(n + 1), { "aria-hidden": "true" }));
      const cantTell = createElement("button", "button small", t("judge.cant_tell"), { type: "button" });
      cantTell.setAttribute("aria-label", `${boot.texts[part.concept]}: ${t("judge.cant_tell")}`);
      cantTell.addEventListener("click", () => this.#toggleAnswer(n, "cant_tell"));
      row.append(label, cantTell);
      return row;
    });
    byId("concepts").replaceChildren(...rows);
    this.#answers.forEach((answer, n) => this.#setAnswer(n, answer));
  }

  #toggleAnswer(n, answer) {
    if (n < this.#answers.length) this.#setAnswer(n, this.#answers[n] === answer ? "no" : answer, true);
  }

  #setAll(answer) {
    this.#answers.forEach((_, n) => this.#setAnswer(n, answer));
    announce(t(`judge.${answer}`));
  }

  #setAnswer(n, answer, mustAnnounce = false) {
    this.#answers[n] = answer;
    const row = byId("concepts").children[n];
    row.querySelector("input").checked = answer === "yes";
    row.querySelector("button").setAttribute("aria-pressed", answer === "cant_tell");
    if (mustAnnounce) announce(`${boot.texts[this.#question.parts[n].concept]}: ${t(`judge.${answer}`)}`);
  }
}
