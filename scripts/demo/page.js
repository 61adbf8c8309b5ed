// Buttons with data-add, data-do or data-why become events of the component that holds them.
//
// What is done is numbered and sent again until the page says that it was seen: requests may overtake each other or be
// lost, and the server takes each number once, in their order.
const shared = (window.cartograph ??= { n: 0, acts: [] });
const act = (what) => {
  const seen = Number(document.querySelector('[data-seen]')?.dataset.seen ?? 0);
  shared.n += 1;
  shared.acts = [...shared.acts.filter((one) => one.n > seen), { n: shared.n, ...what }];
  trigger('click', { acts: shared.acts });
};
const meant = (node) => {
  const button = node instanceof Element ? node.closest('[data-add],[data-do],[data-why]') : null;
  return button && element.contains(button) ? { ...button.dataset } : null;
};
const tell = (what) => {
  if (what.add !== undefined) {
    act({ do: 'add', item: what.add, kind: document.querySelector('#kind input:checked')?.value ?? 'clicks' });
  } else if (what.do !== undefined) {
    act({ do: what.do });
  } else {
    trigger('select', { why: what.why, list: what.target });
    if (what.why) window.scrollTo({ top: 0 });
  }
};

// A click counts where the pointer went down: what it went down on may have been drawn anew before it comes up, and
// the browser then makes no click of it. Keyboards and screen readers make clicks without a pointer (detail 0).
let held = null;
const up = (event) => {
  if (!element.isConnected) return document.removeEventListener('pointerup', up);
  const pressed = held;
  held = null;
  if (!pressed || event.pointerId !== pressed.id) return;
  if (Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) < 10) tell(pressed.what);
};
element.addEventListener('pointerdown', (event) => {
  const what = event.isPrimary && event.button === 0 ? meant(event.target) : null;
  held = what && { what, id: event.pointerId, x: event.clientX, y: event.clientY };
});
document.addEventListener('pointerup', up);
document.addEventListener('pointercancel', () => { held = null; });
element.addEventListener('click', (event) => {
  const what = event.detail === 0 ? meant(event.target) : null;
  if (what) tell(what);
});
