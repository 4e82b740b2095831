// Cover pictures (blurred, without colour) until somebody reveals them.
import { boot, t } from "./i18n.js";

const { blur, grey } = boot.preferences ?? {};
export const coversPictures = Boolean(blur || grey);

/** Cover or uncover an image according to the annotator's preferences. */
export function cover(image, covered) {
  image.classList.toggle("blurred", covered && blur);
  image.classList.toggle("grey", covered && grey);
}

/** Return the text on a covered picture. */
export function hint() {
  const touch = matchMedia("(hover: none)").matches;
  return touch ? t("judge.reveal.touch") : t("judge.reveal.hint", { key: t("key.reveal") });
}

/** Enlarge small images without smoothing, which would blur them. */
export function sharpen(image) {
  image.classList.toggle("pixels", image.naturalWidth > 0 && image.naturalWidth < 160);
}
