// Drag and drop by pointer events: the same for mouse, pen and finger.
const MIN_DISTANCE = 6; // pixels; a shorter movement is a click
const SCROLL_MARGIN = 90; // pixels from the window's edge within which dragging scrolls
const SCROLL_STEP = 14;
const CLICK_DELAY = 50; // milliseconds after a drag within which a click belongs to it

/** Make an element draggable onto elements that match `target`; `drop` is called with the one that it is dropped on. */
export function draggable(element, target, drop) {
  let start = null;
  let over = null;
  let ended = -Infinity;

  element.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.isPrimary) start = { x: event.clientX, y: event.clientY + scrollY, moving: false };
  });

  element.addEventListener("pointermove", (event) => {
    if (!start) return;
    const dx = event.clientX - start.x;
    const dy = event.clientY + scrollY - start.y;
    if (!start.moving) {
      if (Math.hypot(dx, dy) < MIN_DISTANCE) return;
      start.moving = true;
      element.setPointerCapture(event.pointerId);
      element.classList.add("dragging");
    }
    element.style.transform = `translate(${dx}px, ${dy}px)`;
    if (event.clientY < SCROLL_MARGIN) scrollBy(0, -SCROLL_STEP);
    else if (event.clientY > innerHeight - SCROLL_MARGIN) scrollBy(0, SCROLL_STEP);
    highlight(document.elementsFromPoint(event.clientX, event.clientY).map((element) => element.closest(target)).find(Boolean));
  });

  element.addEventListener("pointerup", () => {
    const droppedOn = start?.moving ? over : null;
    const moved = start?.moving;
    end();
    if (moved) ended = performance.now();
    if (droppedOn) drop(droppedOn);
  });
  element.addEventListener("pointercancel", end);
  // Otherwise the browser takes a quick drag for a fling, and the next tap only stops that.
  element.addEventListener("touchmove", (event) => start?.moving && event.preventDefault(), { passive: false });
  // The click event at the end of a drag is not a click.
  element.addEventListener("click", (event) => performance.now() - ended < CLICK_DELAY && event.stopPropagation(), true);

  function end() {
    start = null;
    element.classList.remove("dragging");
    element.style.transform = "";
    highlight(null);
  }

  function highlight(hovered) {
    if (hovered === over) return;
    over?.classList.remove("over");
    over = hovered ?? null;
    over?.classList.add("over");
  }
}
