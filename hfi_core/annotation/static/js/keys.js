// Single keys. They do nothing while somebody types, or if the annotator has turned them off.
import { boot } from "./i18n.js";

const TYPING = "input:not([type=checkbox]), textarea, select";
const ACTIVATES = "button, a, summary, input";
const SHIFT = "Shift+";

/** Call `actions[name]` for the translated key `key.NAME`, or for the key NAME: `yes`, `Shift+reveal`, `Enter`. */
export function onKeys(actions) {
  const actionsByKey = new Map(Object.entries(actions).map(([name, action]) => [keyOf(name), action]));
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const typing = event.target.matches(TYPING);
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !typing) return run(event, actions.undo);
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (typing) return event.key === "Escape" ? run(event, actions.leaveField) : undefined;
    const isCharacter = event.key.length === 1;
    if (isCharacter && !boot.preferences.keys) return;
    // Enter and the space bar belong to the focused element.
    if (event.key === " " && event.target.matches(ACTIVATES)) return;
    if (event.key === "Enter" && event.target.matches(ACTIVATES) && !event.target.matches("[data-enter-saves]")) return;
    const digit = /^Digit(\d)$/.exec(event.code)?.[1];
    const key = event.shiftKey && digit ? digit : isCharacter ? event.key.toLowerCase() : event.key;
    run(event, (event.shiftKey && actionsByKey.get(SHIFT + key)) || actionsByKey.get(key));
  });
}

function keyOf(name) {
  const shift = name.startsWith(SHIFT) ? SHIFT : "";
  const letter = boot.translations[`key.${name.slice(shift.length)}`];
  return shift + (letter?.length === 1 ? letter.toLowerCase() : name.slice(shift.length));
}

function run(event, action) {
  if (!action) return;
  event.preventDefault();
  if (!event.repeat) action(event); // a key that is held down answers once
}
