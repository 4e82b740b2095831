// The panel that replaces the question while there is nothing to judge.
import { boot, createElement, t } from "./i18n.js";

const byId = (id) => document.getElementById(id);

/** Show a message, with a button that calls `start`, or a link to the tasks. */
export function showPanel(name, values = {}, start = null) {
  const actions = createElement("p", "actions");
  if (start) {
    const button = createElement("button", "button primary", t(`state.${name}.start`), { type: "button" });
    button.addEventListener("click", start);
    actions.append(button);
  } else {
    actions.append(createElement("a", "button", t("state.home"), { href: "/" }));
  }
  const title = createElement("h2", "", t(`state.${name}.title`), { tabindex: "-1" });
  replaceWork(title, createElement("p", "", t(`state.${name}`, { percent: Math.round(100 * boot.pass_mark), ...values })), actions);
  byId("panel").dataset.name = name;
  (start ? actions.firstElementChild : title).focus();
}

/** Show that questions are being fetched. */
export function showLoading() {
  replaceWork(createElement("p", "quiet", t("judge.loading")));
  delete byId("panel").dataset.name;
}

function replaceWork(...children) {
  byId("panel").replaceChildren(...children);
  byId("panel").hidden = false;
  byId("work").hidden = true;
  byId("again").hidden = true;
}

/** Show the question again. */
export function hidePanel() {
  const panel = byId("panel");
  if (panel.hidden) return;
  panel.hidden = true;
  byId("work").hidden = false;
  byId("question").focus({ preventScroll: true });
}
