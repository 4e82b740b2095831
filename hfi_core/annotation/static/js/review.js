// Click, Enter or Space reveals a covered picture; the next one covers it again.
for (const button of document.querySelectorAll("[data-cover]")) {
  const image = button.querySelector("img");
  const sharpen = () => image.classList.toggle("pixels", image.naturalWidth > 0 && image.naturalWidth < 160);
  image.addEventListener("load", sharpen);
  sharpen();
  button.addEventListener("click", () => {
    const isRevealed = button.getAttribute("aria-pressed") === "true";
    button.setAttribute("aria-pressed", String(!isRevealed));
  });
}
