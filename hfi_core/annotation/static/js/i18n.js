// The interface's texts, and the data that the server embedded in the page.
const embedded = document.getElementById("boot");
export const boot = embedded ? JSON.parse(embedded.textContent) : {};

/** Return the text of a key with its {placeholders} filled in. If `n` is 1, the singular comes first, where it exists. */
export function t(key, values = {}) {
  const name = values.n === 1 && boot.translations[`${key}.one`] ? `${key}.one` : key;
  let text = boot.translations[name] ?? name;
  for (const [placeholder, value] of Object.entries(values)) text = text.replaceAll(`{${placeholder}}`, value);
  return text;
}

/** Create an element with class, text and attributes. The text is never parsed as HTML. */
export function createElement(tag, className = "", text = "", attributes = {}) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** Announce texts to screen readers. Emptying the region first makes them read an equal text again. */
export function announce(...texts) {
  const region = document.getElementById("say");
  region.textContent = "";
  setTimeout(() => (region.textContent = texts.join(" ")), 30);
}
