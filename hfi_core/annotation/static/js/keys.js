// Single keys. They rest while somebody types, and where the annotator has turned them off.
import { boot } from "./words.js";

const TYPING = "input:not([type=checkbox]), textarea, select";
const ACTIVATES = "button, a, summary, input";
const SHIFT = "Shift+";

/** Call `actions[name]` at the catalogue's key of that name, or at a key's own name: `yes`, `Shift+reveal`, `Enter`. */
export function onKeys(actions) {
  const named = new Map(Object.entries(actions).map(([name, action]) => [keyOf(name), action]));
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const typing = event.target.matches(TYPING);
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !typing) return run(event, actions.undo);
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (typing) return event.key === "Escape" ? run(event, actions.leave) : undefined;
    const single = event.key.length === 1;
    if (single && !boot.preferences.keys) return;
    // Enter and the space bar first do what the element in focus is for.
    if (event.key === " " && event.target.matches(ACTIVATES)) return;
    if (event.key === "Enter" && event.target.matches(ACTIVATES) && !event.target.matches("[data-enter-saves]")) return;
    const digit = /^Digit(\d)$/.exec(event.code)?.[1];
    const key = event.shiftKey && digit ? digit : single ? event.key.toLowerCase() : event.key;
    run(event, (event.shiftKey && named.get(SHIFT + key)) || named.get(key));
  });
}

function keyOf(name) {
  const shift = name.startsWith(SHIFT) ? SHIFT : "";
  const letter = boot.words[`key.${name.slice(shift.length)}`];
  return shift + (letter?.length === 1 ? letter.toLowerCase() : name.slice(shift.length));
}

function run(event, action) {
  if (!action) return;
  event.preventDefault();
  if (!event.repeat) action(event); // a key held down answers once
}
