// Buttons with data-add, data-do or data-why become events of the component that holds them.
//
// What is done is numbered, and the server does each number once, in their order. It goes out when the page shows all
// that went out before, so that neither requests nor answers overtake each other, and again if no answer comes.
const shared = (window.cartograph ??= { n: 0, acts: [], sent: 0, when: 0 });
const flush = () => {
  clearTimeout(shared.timer);
  const shown = Math.min(...[...document.querySelectorAll('[data-seen]')].map((one) => Number(one.dataset.seen)));
  shared.acts = shared.acts.filter((one) => one.n > shown);
  if (shared.acts.length === 0) return;
  if (shown >= shared.sent || Date.now() - shared.when > 4000) {
    shared.sent = shared.n;
    shared.when = Date.now();
    trigger('click', { acts: shared.acts });
  }
  shared.timer = setTimeout(flush, 25);
};
const act = (what) => {
  shared.n += 1;
  shared.acts.push({ n: shared.n, ...what });
  flush();
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
  const what = meant(event.target);
  if (what && event.detail === 0) tell(what);
  if (what?.why) window.scrollTo({ top: 0 }); // not sooner: a finger's click would fall on what comes to lie under it
});
