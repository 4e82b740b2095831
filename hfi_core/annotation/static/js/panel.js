// What stands in the picture's place where there is nothing to judge just now.
import { boot, make, t } from "./words.js";

const byId = (id) => document.getElementById(id);

/** Show a message; with `start`, a button that calls it, else the way back to the tasks. */
export function showPanel(name, values = {}, start = null) {
  const actions = make("p", "actions");
  if (start) {
    const button = make("button", "button primary", t(`state.${name}.start`), { type: "button" });
    button.addEventListener("click", start);
    actions.append(button);
  } else {
    actions.append(make("a", "button", t("state.home"), { href: "/" }));
  }
  const title = make("h2", "", t(`state.${name}.title`), { tabindex: "-1" });
  replaceWork(title, make("p", "", t(`state.${name}`, { percent: Math.round(100 * boot.pass_mark), ...values })), actions);
  byId("panel").dataset.name = name;
  (start ? actions.firstElementChild : title).focus();
}

/** Nothing to judge yet: more is being fetched. */
export function showLoading() {
  replaceWork(make("p", "quiet", t("judge.loading")));
  delete byId("panel").dataset.name;
}

function replaceWork(...children) {
  byId("panel").replaceChildren(...children);
  byId("panel").hidden = false;
  byId("work").hidden = true;
  byId("again").hidden = true;
}

/** The question is shown again. */
export function hidePanel() {
  const panel = byId("panel");
  if (panel.hidden) return;
  panel.hidden = true;
  byId("work").hidden = false;
  byId("question").focus({ preventScroll: true });
}
