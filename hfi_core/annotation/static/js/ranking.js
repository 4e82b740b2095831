// Several pictures, put into places: by keys, by dragging, or by a tap on the picture and one on the place.
import { draggable } from "./drag.js";
import { cover, covers, sharpen } from "./reveal.js";
import { make, say, t } from "./words.js";

const byId = (id) => document.getElementById(id);
const NONE = "none";
const TRAY = "tray";

export class RankingView {
  #question;
  #cards = []; // {box, button, eye, image, place: TRAY | NONE | 1.., covered}
  #slots = new Map();
  #picked = null;

  /** `commit` is called with one answer, in a list, once every picture has its place. */
  constructor(commit) {
    this.commit = commit;
    byId("reveal").hidden = !covers;
    byId("reveal").addEventListener("click", () => this.toggleAll());
    byId("save").addEventListener("click", (event) => event.detail > 1 || this.#save());
  }

  /** Show a question; `given` is a list with the earlier answer. */
  show(question, given) {
    this.#question = question;
    this.#picked = null;
    this.#build(question.pictures.length);
    this.#cards = question.pictures.map((_, n) => this.#card(n));
    const { groups = [], not_applicable: none = [] } = given?.[0] ?? {};
    question.pictures.forEach(({ id }, n) => {
      const at = groups.findIndex((group) => group.includes(id));
      this.#put(n, none.includes(id) ? NONE : at < 0 ? TRAY : at + 1, false);
    });
    byId("key-places").textContent = t("key.numbers", { n: Math.min(9, question.pictures.length) });
    this.#describe();
  }

  words() {
    return t("say.ranking");
  }

  fields(part, answer) {
    return { ...answer, digests: Object.fromEntries(part.pictures.map((id, n) => [id, part.sha256[n]])) };
  }

  keys() {
    const move = (step) => () => this.#move(step);
    const keys = {
      ArrowRight: move(1), ArrowDown: move(1), ArrowLeft: move(-1), ArrowUp: move(-1),
      not_applicable: () => this.#place(NONE), Backspace: () => this.#place(TRAY), Delete: () => this.#place(TRAY),
      reveal: () => this.#toggle(this.#target()), "Shift+reveal": () => this.toggleAll(),
      enlarge: () => this.#enlarge(this.#target()), Enter: () => this.#save(),
    };
    for (let n = 1; n <= 9; n++) keys[n] = () => n <= this.#cards.length && this.#place(n);
    return keys;
  }

  toggleAll() {
    const covered = this.#cards.some((card) => !card.covered);
    this.#cards.forEach((_, n) => this.#setCovered(n, covered));
    say(t(covered ? "say.hidden" : "say.revealed"));
  }

  #build(count) {
    const tray = this.#slot(TRAY, t("ranking.tray"), "tray");
    const places = make("ol", "places");
    for (let n = 1; n <= count; n++) {
      const edge = n === 1 ? t("ranking.strongest") : n === count ? t("ranking.weakest") : "";
      places.append(this.#slot(n, t("ranking.place", { n }), "place", String(n), edge));
    }
    places.append(this.#slot(NONE, t("ranking.not_applicable"), "place not-applicable", t("key.not_applicable"), t("ranking.not_applicable")));
    places.style.setProperty("--places", count + 1);
    byId("ranking").replaceChildren(tray, places);
  }

  #slot(place, name, className, mark = "", edge = "") {
    const slot = make(place === TRAY ? "div" : "li", `slot ${className}`, "", { "data-place": place });
    const label = make("button", "slot-name", "", { type: "button", "aria-label": name, tabindex: "-1" });
    label.append(make("kbd", "", mark || name), make("small", "", edge));
    slot.append(label, make("div", "cards", "", { role: "group", "aria-label": name }));
    slot.addEventListener("click", () => this.#picked !== null && this.#drop(this.#picked, place));
    this.#slots.set(String(place), slot);
    return slot;
  }

  #card(n) {
    const image = this.#question.images[n];
    const box = make("div", "pic");
    const button = make("button", "pic-button", "", { type: "button", "data-enter-saves": "", "data-picture": n });
    const eye = make("button", "eye", "", { type: "button" });
    image.draggable = false;
    image.alt = "";
    button.append(image, make("span", "number", String(n + 1), { "aria-hidden": "true" }));
    box.append(button);
    if (covers) box.append(eye);
    button.addEventListener("click", (event) => {
      // With another picture in hand, a click on this one means its place.
      if (this.#picked !== null && this.#picked !== n) return;
      event.stopPropagation();
      this.#pick(this.#picked === n ? null : n);
    });
    button.addEventListener("dblclick", () => this.#enlarge(n));
    eye.addEventListener("click", (event) => {
      event.stopPropagation();
      this.#toggle(n);
    });
    draggable(box, ".slot", (slot) => this.#drop(n, slot.dataset.place));
    const card = { box, button, eye, image, place: TRAY, covered: covers };
    this.#question.ready[n].then((there) => {
      sharpen(image);
      box.classList.toggle("missing", !there);
    });
    cover(image, covers);
    return card;
  }

  #drop(n, place) {
    this.#put(n, place === TRAY || place === NONE ? place : Number(place));
    this.#pick(null);
    this.#cards[n].button.focus({ preventScroll: true });
  }

  /** Put a picture where the cards are and say so; `place` is TRAY, NONE or a number from 1. */
  #put(n, place, aloud = true) {
    const card = this.#cards[n];
    card.place = place;
    this.#slots.get(String(place)).querySelector(".cards").append(card.box);
    this.#describe();
    if (!aloud) return;
    if (place === TRAY) say(t("say.unplaced", { n: n + 1 }));
    else say(t("say.placed", { n: n + 1, place: place === NONE ? t("ranking.not_applicable") : place }));
  }

  #place(place) {
    const n = this.#target();
    this.#put(n, place);
    this.#pick(null);
    const next = this.#cards.findIndex((card) => card.place === TRAY);
    this.#cards[place === TRAY || next < 0 ? n : next].button.focus();
  }

  /** The picture that a key is about: the one in focus, else the one in hand, else the first without a place. */
  #target() {
    const focused = document.activeElement?.closest(".pic")?.querySelector(".pic-button").dataset.picture;
    if (focused !== undefined) return Number(focused);
    return this.#picked ?? Math.max(0, this.#cards.findIndex((card) => card.place === TRAY));
  }

  #move(step) {
    const shown = [...byId("ranking").querySelectorAll(".pic-button")];
    const at = shown.indexOf(document.activeElement?.closest(".pic")?.querySelector(".pic-button"));
    const to = at < 0 ? (step > 0 ? 0 : shown.length - 1) : (at + step + shown.length) % shown.length;
    shown[to].focus();
  }

  #pick(n) {
    this.#picked = n;
    this.#cards.forEach((card, other) => {
      card.button.setAttribute("aria-pressed", other === n);
      card.box.classList.toggle("picked", other === n);
    });
    byId("ranking").classList.toggle("picking", n !== null);
  }

  #toggle(n) {
    this.#setCovered(n, !this.#cards[n].covered);
    say(t(this.#cards[n].covered ? "say.hidden" : "say.revealed"));
  }

  #setCovered(n, covered) {
    const card = this.#cards[n];
    card.covered = covered && covers;
    cover(card.image, card.covered);
    this.#describe();
  }

  #enlarge(n) {
    const dialog = byId("enlarged");
    const image = dialog.querySelector("img");
    const card = this.#cards[n];
    image.src = card.image.src;
    image.alt = t("ranking.picture", { n: n + 1 });
    cover(image, card.covered);
    sharpen(card.image);
    image.classList.toggle("pixels", card.image.classList.contains("pixels"));
    dialog.showModal();
  }

  #describe() {
    this.#cards.forEach((card, n) => {
      const key = card.place === TRAY ? "unplaced" : card.place === NONE ? "not_applicable" : "placed";
      const name = t(`ranking.picture.${key}`, { n: n + 1, place: card.place });
      card.button.setAttribute("aria-label", `${name}, ${t(card.covered ? "judge.hidden.alt" : "judge.revealed.alt")}`);
      card.eye.setAttribute("aria-label", `${t(card.covered ? "judge.reveal" : "judge.hide")}: ${t("ranking.picture", { n: n + 1 })}`);
      card.eye.setAttribute("aria-pressed", !card.covered);
    });
    const left = this.#cards.filter((card) => card.place === TRAY).length;
    byId("save").setAttribute("aria-disabled", left > 0);
    this.#slots.get(TRAY).classList.toggle("empty", !left);
    this.#slots.get(TRAY).querySelector("small").textContent = left ? "" : t("ranking.tray.empty");
    if (covers) {
      const covered = this.#cards.some((card) => card.covered);
      byId("reveal").firstElementChild.textContent = t(covered ? "judge.reveal" : "judge.hide");
    }
  }

  #save() {
    const left = this.#cards.filter((card) => card.place === TRAY).length;
    if (left) return say(t("ranking.left", { n: left }));
    const ids = this.#question.pictures.map(({ id }) => id);
    const groups = this.#cards.map((_, n) => ids.filter((__, i) => this.#cards[i].place === n + 1)).filter((group) => group.length);
    this.commit([{ groups, not_applicable: ids.filter((_, i) => this.#cards[i].place === NONE) }]);
    return undefined;
  }
}
