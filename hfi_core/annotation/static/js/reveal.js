// Pictures are blurred and without colour until somebody chooses to see one.
import { boot, t } from "./words.js";

const { blur, grey } = boot.preferences ?? {};
export const covers = Boolean(blur || grey);

/** Cover or uncover an image, by the annotator's preferences. */
export function cover(image, covered) {
  image.classList.toggle("blurred", covered && blur);
  image.classList.toggle("grey", covered && grey);
}

/** What the veil over a covered picture says. */
export function hint() {
  const touch = matchMedia("(hover: none)").matches;
  return touch ? t("judge.reveal.touch") : t("judge.reveal.hint", { key: t("key.reveal") });
}

/** Small drawings keep their pixels where a smooth enlargement would smear them. */
export function sharpen(image) {
  image.classList.toggle("pixels", image.naturalWidth > 0 && image.naturalWidth < 160);
}
