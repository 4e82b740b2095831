// The view of a ranking: pictures are put into places by keys, by dragging, or by tapping picture and place.
import { draggable } from "./drag.js";
import { cover, coversPictures, sharpen } from "./reveal.js";
import { announce, createElement, t } from "./i18n.js";

const byId = (id) => document.getElementById(id);
const NONE = "none";
const TRAY = "tray";

export class RankingView {
  #question;
  #cards = []; // {box, button, eye, image, place: TRAY | NONE | 1.., covered}
  #slots = new Map();
  #picked = null;

  /** `submit` is called with a list of one answer once every picture has a place. */
  constructor(submit) {
    this.submit = submit;
    byId("reveal").hidden = !coversPictures;
    byId("reveal").addEventListener("click", () => this.toggleAll());
    byId("save").addEventListener("click", (event) => event.detail > 1 || this.#submitOrder());
  }

  /** Show a question; `given` is a list with the earlier answer. */
  show(question, given) {
    this.#question = question;
    this.#picked = null;
    this.#buildSlots(question.pictures.length);
    this.#cards = question.pictures.map((_, n) => this.#createCard(n));
    const { groups = [], not_applicable: none = [] } = given?.[0] ?? {};
    question.pictures.forEach(({ id }, n) => {
      const index = groups.findIndex((group) => group.includes(id));
      this.#moveCard(n, none.includes(id) ? NONE : index < 0 ? TRAY : index + 1, false);
    });
    byId("key-places").textContent = t("key.numbers", { n: Math.min(9, question.pictures.length) });
    this.#updateLabels();
  }

  describe() {
    return t("say.ranking");
  }

  judgementFields(part, answer) {
    return { ...answer, digests: Object.fromEntries(part.pictures.map((id, n) => [id, part.sha256[n]])) };
  }

  keyActions() {
    const move = (step) => () => this.#moveFocus(step);
    const keys = {
      ArrowRight: move(1), ArrowDown: move(1), ArrowLeft: move(-1), ArrowUp: move(-1),
      not_applicable: () => this.#placeTarget(NONE), Backspace: () => this.#placeTarget(TRAY), Delete: () => this.#placeTarget(TRAY),
      reveal: () => this.#toggleCover(this.#target()), "Shift+reveal": () => this.toggleAll(),
      enlarge: () => this.#enlarge(this.#target()), Enter: () => this.#submitOrder(),
    };
    for (let n = 1; n <= 9; n++) keys[n] = () => n <= this.#cards.length && this.#placeTarget(n);
    return keys;
  }

  toggleAll() {
    const covered = this.#cards.some((card) => !card.covered);
    this.#cards.forEach((_, n) => this.#setCovered(n, covered));
    announce(t(covered ? "say.hidden" : "say.revealed"));
  }

  #buildSlots(count) {
    const tray = this.#createSlot(TRAY, t("ranking.tray"), "tray");
    const places = createElement("ol", "places");
    for (let n = 1; n <= count; n++) {
      const edge = n === 1 ? t("ranking.strongest") : n === count ? t("ranking.weakest") : "";
      places.append(this.#createSlot(n, t("ranking.place", { n }), "place", String(n), edge));
    }
    places.append(this.#createSlot(NONE, t("ranking.not_applicable"), "place not-applicable", t("key.not_applicable"), t("ranking.not_applicable")));
    places.style.setProperty("--places", count + 1);
    byId("ranking").replaceChildren(tray, places);
  }

  #createSlot(place, name, className, mark = "", edge = "") {
    const slot = createElement(place === TRAY ? "div" : "li", `slot ${className}`, "", { "data-place": place });
    const label = createElement("button", "slot-name", "", { type: "button", "aria-label": name, tabindex: "-1" });
    label.append(createElement("kbd", "", mark || name), createElement("small", "", edge));
    slot.append(label, createElement("div", "cards", "", { role: "group", "aria-label": name }));
    slot.addEventListener("click", () => this.#picked !== null && this.#drop(this.#picked, place));
    this.#slots.set(String(place), slot);
    return slot;
  }

  #createCard(n) {
    const image = this.#question.images[n];
    const box = createElement("div", "pic");
    const button = createElement("button", "pic-button", "", { type: "button", "data-enter-saves": "", "data-picture": n });
    const eye = createElement("button", "eye", "", { type: "button" });
    image.draggable = false;
    image.alt = "";
    button.append(image, createElement("span", "number", String(n + 1), { "aria-hidden": "true" }));
    box.append(button);
    if (coversPictures) box.append(eye);
    button.addEventListener("click", (event) => {
      // While another picture is picked, a click on this one chooses its place.
      if (this.#picked !== null && this.#picked !== n) return;
      event.stopPropagation();
      this.#pick(this.#picked === n ? null : n);
    });
    button.addEventListener("dblclick", () => this.#enlarge(n));
    eye.addEventListener("click", (event) => {
      event.stopPropagation();
      this.#toggleCover(n);
    });
    draggable(box, ".slot", (slot) => this.#drop(n, slot.dataset.place));
    const card = { box, button, eye, image, place: TRAY, covered: coversPictures };
    this.#question.ready[n].then((isLoaded) => {
      sharpen(image);
      box.classList.toggle("missing", !isLoaded);
    });
    cover(image, coversPictures);
    return card;
  }

  #drop(n, place) {
    this.#moveCard(n, place === TRAY || place === NONE ? place : Number(place));
    this.#pick(null);
    this.#cards[n].button.focus({ preventScroll: true });
  }

  /** Move a picture to a place and announce it; `place` is TRAY, NONE or a number from 1. */
  #moveCard(n, place, mustAnnounce = true) {
    const card = this.#cards[n];
    card.place = place;
    this.#slots.get(String(place)).querySelector(".cards").append(card.box);
    this.#updateLabels();
    if (!mustAnnounce) return;
    if (place === TRAY) announce(t("say.unplaced", { n: n + 1 }));
    else announce(t("say.placed", { n: n + 1, place: place === NONE ? t("ranking.not_applicable") : place }));
  }

  #placeTarget(place) {
    const n = this.#target();
    this.#moveCard(n, place);
    this.#pick(null);
    const next = this.#cards.findIndex((card) => card.place === TRAY);
    this.#cards[place === TRAY || next < 0 ? n : next].button.focus();
  }

  /** Return the picture that a key acts on: the focused one, else the picked one, else the first without a place. */
  #target() {
    const focused = document.activeElement?.closest(".pic")?.querySelector(".pic-button").dataset.picture;
    if (focused !== undefined) return Number(focused);
    return this.#picked ?? Math.max(0, this.#cards.findIndex((card) => card.place === TRAY));
  }

  #moveFocus(step) {
    const shown = [...byId("ranking").querySelectorAll(".pic-button")];
    const index = shown.indexOf(document.activeElement?.closest(".pic")?.querySelector(".pic-button"));
    const to = index < 0 ? (step > 0 ? 0 : shown.length - 1) : (index + step + shown.length) % shown.length;
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

  #toggleCover(n) {
    this.#setCovered(n, !this.#cards[n].covered);
    announce(t(this.#cards[n].covered ? "say.hidden" : "say.revealed"));
  }

  #setCovered(n, covered) {
    const card = this.#cards[n];
    card.covered = covered && coversPictures;
    cover(card.image, card.covered);
    this.#updateLabels();
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

  #updateLabels() {
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
    if (coversPictures) {
      const covered = this.#cards.some((card) => card.covered);
      byId("reveal").firstElementChild.textContent = t(covered ? "judge.reveal" : "judge.hide");
    }
  }

  #submitOrder() {
    const left = this.#cards.filter((card) => card.place === TRAY).length;
    if (left) return announce(t("ranking.left", { n: left }));
    const ids = this.#question.pictures.map(({ id }) => id);
    const groups = this.#cards.map((_, n) => ids.filter((__, i) => this.#cards[i].place === n + 1)).filter((group) => group.length);
    this.submit([{ groups, not_applicable: ids.filter((_, i) => this.#cards[i].place === NONE) }]);
    return undefined;
  }
}
