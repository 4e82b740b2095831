// Send the two forms, consent and preferences, as JSON.
import { post } from "./http.js";

for (const form of document.querySelectorAll("form[data-post]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const error = form.querySelector(".error");
    error.textContent = "";
    try {
      await post(form.dataset.post, valuesOf(form));
      location.assign(form.dataset.then);
    } catch {
      error.textContent = error.dataset.error;
    }
  });
}

const saved = document.querySelector(".saved");
if (saved && location.search === "?saved") saved.hidden = false;

function valuesOf(form) {
  const fields = [...form.elements].filter((element) => element.name);
  return Object.fromEntries(fields.map((field) => [field.name, field.type === "checkbox" ? field.checked : field.value || null]));
}
