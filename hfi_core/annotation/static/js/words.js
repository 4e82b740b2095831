// The interface's text and what the server told this page when it was made.
const element = document.getElementById("boot");
export const boot = element ? JSON.parse(element.textContent) : {};

/** The text of a key with its {placeholders} filled in; with `n: 1` the singular, where there is one. */
export function t(key, values = {}) {
  const name = values.n === 1 && boot.words[`${key}.one`] ? `${key}.one` : key;
  let text = boot.words[name] ?? name;
  for (const [placeholder, value] of Object.entries(values)) text = text.replaceAll(`{${placeholder}}`, value);
  return text;
}

/** An element with its class, text and attributes; text is only ever set as text. */
export function make(tag, className = "", text = "", attributes = {}) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** Tell a screen reader; the same text twice is read twice. */
export function say(...texts) {
  const region = document.getElementById("say");
  region.textContent = "";
  setTimeout(() => (region.textContent = texts.join(" ")), 30);
}
