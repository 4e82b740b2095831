// One picture, and one question on it for each concept.
import { cover, covers, hint, sharpen } from "./reveal.js";
import { boot, make, say, t } from "./words.js";

const byId = (id) => document.getElementById(id);
const ANSWERS = ["yes", "no", "cant_tell"];

export class BinaryView {
  #question;
  #answers = []; // of several concepts
  #covered = covers;

  /** `commit` is called with one answer a part. */
  constructor(commit) {
    this.commit = commit;
    byId("cover").addEventListener("click", () => this.toggle());
    byId("reveal").hidden = !covers;
    byId("reveal").addEventListener("click", () => this.toggle());
    this.several = Object.keys(boot.texts).length > 1;
    if (this.several) byId("save").addEventListener("click", (event) => event.detail > 1 || this.#save());
    else ANSWERS.forEach((name) => byId(name).addEventListener("click", (event) => event.detail > 1 || this.#answer(name)));
    const prompt = byId("prompt");
    prompt.open = localStorage.getItem("hfi-prompt") === "open";
    prompt.addEventListener("toggle", () => localStorage.setItem("hfi-prompt", prompt.open ? "open" : "closed"));
  }

  /** Show a question; `given` are earlier answers, one a part. */
  show(question, given) {
    this.#question = question;
    const image = question.images[0];
    this.#covered = covers;
    image.id = "shown";
    image.draggable = false;
    cover(image, covers);
    sharpen(image);
    byId("shown").replaceWith(image);
    this.#describe();
    byId("prompt").hidden = !question.pictures[0].prompt;
    byId("prompt").querySelector("p").textContent = question.pictures[0].prompt;
    this.#missing(false);
    question.ready[0].then((there) => {
      if (question !== this.#question) return;
      sharpen(image);
      this.#missing(!there);
    });
    if (this.several) this.#list(given);
    else ANSWERS.forEach((name) => byId(name).setAttribute("aria-pressed", given?.[0]?.answer === name));
  }

  /** An answer in words. */
  words(given) {
    if (!this.several) return t(`judge.${given[0].answer}`);
    return this.#question.parts.map((part, n) => `${boot.texts[part.concept]}: ${t(`judge.${given[n].answer}`)}`).join(", ");
  }

  /** What becomes part of a judgement. */
  fields(part, answer) {
    return { picture: part.pictures[0], sha256: part.sha256[0], ...answer };
  }

  toggle() {
    if (!covers) return;
    this.#covered = !this.#covered;
    cover(byId("shown"), this.#covered);
    this.#describe();
    say(t(this.#covered ? "say.hidden" : "say.revealed"));
  }

  keys() {
    const common = { reveal: () => this.toggle(), " ": () => this.toggle() };
    if (!this.several) return { ...common, ...Object.fromEntries(ANSWERS.map((name) => [name, () => this.#answer(name)])) };
    const keys = { ...common, cant_tell: () => this.#all("cant_tell"), Enter: () => this.#save() };
    for (let n = 1; n <= 9; n++) {
      keys[n] = () => this.#flip(n - 1, "yes");
      keys[`Shift+${n}`] = () => this.#flip(n - 1, "cant_tell");
    }
    return keys;
  }

  #answer(answer) {
    if (!byId(answer).disabled) this.commit([{ answer }]);
  }

  #save() {
    if (!byId("save").disabled) this.commit(this.#answers.map((answer) => ({ answer })));
  }

  #describe() {
    byId("shown").alt = t(this.#covered ? "judge.hidden.alt" : "judge.revealed.alt");
    byId("cover").setAttribute("aria-pressed", !this.#covered);
    byId("veil").textContent = this.#covered ? hint() : "";
    byId("reveal").firstElementChild.textContent = t(this.#covered ? "judge.reveal" : "judge.hide");
  }

  #missing(missing) {
    byId("picture").classList.toggle("missing", missing);
    if (missing) byId("veil").textContent = t("judge.missing");
    (this.several ? ["save"] : ANSWERS).forEach((name) => (byId(name).disabled = missing));
  }

  #list(given) {
    this.#answers = this.#question.parts.map((_, n) => given?.[n]?.answer ?? "no");
    const rows = this.#question.parts.map((part, n) => {
      const row = make("div", "concept-row");
      const label = make("label", "check");
      const box = make("input", "", "", { type: "checkbox", "data-enter-saves": "" });
      box.addEventListener("change", () => this.#set(n, box.checked ? "yes" : "no"));
      const name = make("span", "", boot.texts[part.concept]);
      label.append(box, name);
      if (n < 9) label.append(make("kbd", "", String(n + 1), { "aria-hidden": "true" }));
      const unsure = make("button", "button small", t("judge.cant_tell"), { type: "button" });
      unsure.setAttribute("aria-label", `${boot.texts[part.concept]}: ${t("judge.cant_tell")}`);
      unsure.addEventListener("click", () => this.#flip(n, "cant_tell"));
      row.append(label, unsure);
      return row;
    });
    byId("concepts").replaceChildren(...rows);
    this.#answers.forEach((answer, n) => this.#set(n, answer));
  }

  #flip(n, answer) {
    if (n < this.#answers.length) this.#set(n, this.#answers[n] === answer ? "no" : answer, true);
  }

  #all(answer) {
    this.#answers.forEach((_, n) => this.#set(n, answer));
    say(t(`judge.${answer}`));
  }

  #set(n, answer, aloud = false) {
    this.#answers[n] = answer;
    const row = byId("concepts").children[n];
    row.querySelector("input").checked = answer === "yes";
    row.querySelector("button").setAttribute("aria-pressed", answer === "cant_tell");
    if (aloud) say(`${boot.texts[this.#question.parts[n].concept]}: ${t(`judge.${answer}`)}`);
  }
}
