// Whether a person is in front of the page, and not a program that opens links to look for bad ones.

let seen = false;
const waiting: (() => void)[] = [];

/** Whether somebody has moved, touched, typed, or come to this tab from another one. */
export const person = (): boolean => seen;

/** Calls back at the first sign of a person. */
export function onPerson(call: () => void): void {
  waiting.push(call);
}

function sign(event: Event): void {
  if (seen || !event.isTrusted) return;
  seen = true;
  for (const call of waiting) call();
}

for (const kind of ["pointermove", "pointerdown", "touchstart", "wheel", "keydown"]) {
  addEventListener(kind, sign, { capture: true, passive: true });
}
document.addEventListener("visibilitychange", (event) => {
  if (!document.hidden) sign(event);
});
