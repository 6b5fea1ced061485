// The desktop's page: the screen over the whole window, and a slim bar above it.
import { connect, leave, screen, takeOver } from "./connection.ts";
import { byId } from "./dom.ts";
import { follow } from "./standing.ts";

const dialog = byId<HTMLDialogElement>("clipboard");
const text = byId<HTMLTextAreaElement>("clipboard-text");
const full = byId<HTMLButtonElement>("full");

const copiedThere = (copied: string): void => {
  text.value = copied;
  // Where the browser allows it, what is copied on the desktop can be pasted here at once.
  navigator.clipboard?.writeText(copied).catch(() => undefined);
};

follow();
connect(copiedThere);

byId("own").addEventListener("click", () => takeOver(copiedThere));

byId("clipboard-open").addEventListener("click", () => dialog.showModal());
dialog.addEventListener("close", () => {
  if (dialog.returnValue === "send") screen()?.clipboardPasteFrom(text.value);
  dialog.returnValue = "";
  screen()?.focus();
});

byId("keys").addEventListener("click", () => {
  screen()?.sendCtrlAltDel();
  screen()?.focus();
});
byId("leave").addEventListener("click", leave);

full.hidden = !document.fullscreenEnabled;
full.addEventListener("click", () => {
  void (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());
  screen()?.focus();
});
document.addEventListener("fullscreenchange", () => {
  full.setAttribute("aria-pressed", String(document.fullscreenElement !== null));
});

// The screen takes every key, so one chord must lead out of it to the bar. The keys of the chord are released
// on the desktop, which saw them pressed and will not see them go.
addEventListener(
  "keydown",
  (event) => {
    if (!(event.ctrlKey && event.altKey && event.shiftKey && event.code === "KeyM")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    for (const [keysym, code] of [[0xffe3, "ControlLeft"], [0xffe9, "AltLeft"], [0xffe1, "ShiftLeft"]] as const) {
      screen()?.sendKey(keysym, code, false);
    }
    screen()?.blur();
    byId("clipboard-open").focus();
  },
  { capture: true },
);
