// The lobby: keeps its state fresh, and takes its participant to the desktop as soon as there is one.
import { announceChanges } from "./announce.ts";
import { checkComputer, obstacle } from "./checks.ts";
import { onPerson, person } from "./person.ts";
import { onContent, onOutcome, refresh, region } from "./region.ts";
import { listen } from "./socket.ts";
import { keepTimes } from "./times.ts";

const longestPause = 30_000;
const spread = 1_500; // everybody waits for the same second: nobody shall arrive with everybody else
const soon = 500; // and nobody shall ask with everybody else when the meeting has changed

const lobby = document.getElementById("lobby")!;
const offline = document.getElementById("offline")!;
const blocked = document.getElementById("blocked");
const been = `greenroom-entered:${lobby.dataset["seat"]}`;

let timer = 0; // of the next question
let failures = 0; // questions in a row that got no answer
let entering = false;
let automatic = "auto" in lobby.dataset;
let waited = false; // the page was looked at while the desktop was not ready
let checked = false; // the computer was

keepTimes();
announceChanges();
void checkComputer(() => {
  if (checked) look(); // a check that was repeated may have another result
}).then(() => {
  checked = true;
  look();
});

// Who was in and came back with the back button has left on purpose: they say when they go in again. Who
// finds no desktop waits like everybody else.
let returned = remembered() && canEnter();
if (returned) automatic = false;

onContent(look);
onPerson(look);
onOutcome((outcome) => {
  failures = outcome === "fresh" ? 0 : failures + 1;
  offline.hidden = failures === 0;
  askLater();
});
addEventListener("offline", () => (offline.hidden = false));
addEventListener("online", askNow);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  look();
  askNow();
});
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  entering = false;
  automatic = false;
  returned = true;
  askNow();
});
document.addEventListener("submit", (event) => {
  if ((event.target as HTMLElement).id !== "enter") return;
  event.preventDefault();
  void enter();
});
if (lobby.dataset["live"]) {
  listen(
    () => (region()?.dataset["retry"] === undefined ? undefined : lobby.dataset["live"]),
    () => setTimeout(askNow, Math.random() * soon),
  );
}
askLater();

function canEnter(): boolean {
  return "canEnter" in (region()?.dataset ?? {});
}

/** Follows what the live part says now. */
function look(): void {
  const button = document.getElementById("enter-button");
  if (button && !entering) {
    const returning = canEnter() && (returned || !("auto" in lobby.dataset));
    button.textContent = returning ? "Return to your desktop" : button.dataset["label"]!;
  }
  if (blocked) {
    blocked.textContent = obstacle() && `This page does not let you in by itself. ${obstacle()}`;
    blocked.hidden = obstacle() === "";
  }
  if (!canEnter()) {
    if (!document.hidden && region()?.dataset["retry"] !== undefined) waited = true;
    if (!entering) automatic = "auto" in lobby.dataset;
    return;
  }
  // A program that opens links to look for bad ones must not count as the participant. It neither waits nor moves a pointer.
  if (!automatic || entering || !checked || obstacle() || !(waited || person())) return;
  automatic = false; // once: what fails now is for the person to try again
  setTimeout(() => void enter(), Math.random() * spread);
}

/** Asks again when the server said, later if it does not answer, and never in step with others. */
function askLater(): void {
  clearTimeout(timer);
  const said = region()?.dataset["retry"];
  if (said === undefined) return; // over, or refused: asking changes nothing
  const pause = failures > 0 ? 1_000 * 2 ** Math.min(failures, 4) : Number(said) || 2_000;
  timer = setTimeout(refresh, Math.min(pause, longestPause) * (0.85 + 0.3 * Math.random()));
}

function askNow(): void {
  clearTimeout(timer);
  if (region()?.dataset["retry"] !== undefined) refresh();
}

async function enter(): Promise<void> {
  if (entering) return;
  entering = true;
  busy(true);
  try {
    const address = `${lobby.dataset["enter"]}?key=${encodeURIComponent(lobby.dataset["key"]!)}`;
    const answer = await fetch(address, { method: "POST", headers: { Accept: "application/json" }, signal: AbortSignal.timeout(15_000) });
    if (answer.status === 200) {
      const { url } = (await answer.json()) as { url?: string };
      if (url && /^https?:\/\//.test(url)) {
        remember();
        location.assign(url);
        return; // still busy: the browser is leaving
      }
    }
    failures = 0;
  } catch {
    failures += 1; // no answer: the banner says so, and asking goes on
    offline.hidden = false;
  }
  entering = false;
  busy(false);
  askNow(); // a desktop that is not there yet, a replaced link or an end: the live part says it in words
}

function busy(on: boolean): void {
  const button = document.getElementById("enter-button");
  if (!button) return;
  button.toggleAttribute("aria-busy", on);
  button.textContent = on ? (canEnter() ? "Taking you there …" : "Asking …") : button.dataset["label"]!;
}

function remembered(): boolean {
  try {
    return sessionStorage.getItem(been) !== null;
  } catch {
    return false; // storage is switched off: entering by itself is the lesser evil
  }
}

function remember(): void {
  try {
    sessionStorage.setItem(been, "yes");
  } catch {
    // the next look at the lobby enters by itself again
  }
}
