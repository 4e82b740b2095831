// Sign out: send the answers that wait, then remove everything that this browser has stored for the page.
import { OUTBOX_PREFIX, Outbox } from "./outbox.js";

const form = document.querySelector("form[action='/sign-out']");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  await new Outbox(form.dataset.annotator).flush();
  sessionStorage.clear(); // the answers and notes of this tab
  const isWaiting = (key) => key.startsWith(OUTBOX_PREFIX);
  const keys = Object.keys(localStorage);
  keys.filter((key) => !isWaiting(key)).forEach((key) => localStorage.removeItem(key));
  // The server tells the browser to delete its storage, unless that has answers of somebody that are not saved yet.
  form.elements.keep_storage.value = keys.some(isWaiting) ? "1" : "";
  form.submit();
});
