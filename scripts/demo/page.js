// Buttons with data-add or data-why become events of the component that holds them.
//
// A click counts where the pointer went down: what it went down on may have been drawn anew before it comes up, and
// the browser then makes no click of it. Keyboards and screen readers make clicks without a pointer (detail 0).
let held = null;
const meant = (node) => {
  const button = node instanceof Element ? node.closest('[data-add],[data-why]') : null;
  if (!button || !element.contains(button)) return null;
  const said = button.dataset;
  if (said.add !== undefined) return ['click', { add: said.add }];
  return ['select', { why: said.why, list: said.target }];
};
const tell = (what) => {
  trigger(...what);
  if (what[1].why) window.scrollTo({ top: 0 });
};
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
