// A covered picture is shown on click, Enter or Space, and covered again by the next.
for (const button of document.querySelectorAll("[data-cover]")) {
  const image = button.querySelector("img");
  const sharpen = () => image.classList.toggle("pixels", image.naturalWidth > 0 && image.naturalWidth < 160);
  image.addEventListener("load", sharpen);
  sharpen();
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") === "true";
    button.setAttribute("aria-pressed", String(!shown));
  });
}
