// Drag and drop by pointer events: the same for mouse, pen and finger.
const NEAR = 6; // pixels within which a press is a click
const EDGE = 90; // from the window's edge, where dragging scrolls
const STEP = 14;
const SETTLED = 50; // milliseconds after a drag

/** Let an element be dragged onto what matches `target`; `drop(element)` is called with what it was let go over. */
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
      if (Math.hypot(dx, dy) < NEAR) return;
      start.moving = true;
      element.setPointerCapture(event.pointerId);
      element.classList.add("dragging");
    }
    element.style.transform = `translate(${dx}px, ${dy}px)`;
    if (event.clientY < EDGE) scrollBy(0, -STEP);
    else if (event.clientY > innerHeight - EDGE) scrollBy(0, STEP);
    mark(document.elementsFromPoint(event.clientX, event.clientY).map((one) => one.closest(target)).find(Boolean));
  });

  element.addEventListener("pointerup", () => {
    const landed = start?.moving ? over : null;
    const moved = start?.moving;
    end();
    if (moved) ended = performance.now();
    if (landed) drop(landed);
  });
  element.addEventListener("pointercancel", end);
  // Without this a quick drag counts as a fling, and the browser spends the next tap on stopping it.
  element.addEventListener("touchmove", (event) => start?.moving && event.preventDefault(), { passive: false });
  // The click that ends a drag is none.
  element.addEventListener("click", (event) => performance.now() - ended < SETTLED && event.stopPropagation(), true);

  function end() {
    start = null;
    element.classList.remove("dragging");
    element.style.transform = "";
    mark(null);
  }

  function mark(found) {
    if (found === over) return;
    over?.classList.remove("over");
    over = found ?? null;
    over?.classList.add("over");
  }
}
