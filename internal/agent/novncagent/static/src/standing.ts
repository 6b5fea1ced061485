// What the desktop says beside the screen: when the meeting ends, that the desktop is about to go, and where
// its participant then goes.
import { byId } from "./dom.ts";
import { warning, words } from "./left.ts";

interface Standing {
  now?: string;
  ends_at?: string;
  ending?: string;
  return_url: string;
}

let standing: Standing = { return_url: document.body.dataset["return"] ?? "" };

/** How far the desktop's clock is ahead of this computer's, which may be wrong. */
let ahead = 0;

/** Why the desktop is about to go, once that is known. */
export const ending = (): string => standing.ending ?? "";

/** The lobby, which says what goes on; empty if nobody told. */
export const lobby = (): string => standing.return_url;

let warned = ""; // the end that the last warning was for
let mark = Infinity; // minutes left that were warned of last

/** Follows the desktop's notices; the browser connects again by itself when the stream breaks. */
export function follow(): void {
  new EventSource("notices").addEventListener("standing", (event) => take(JSON.parse(event.data) as Standing));
  setInterval(show, 1000);
  addEventListener("online", () => void ask());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) void ask();
  });
  let [wall, steady] = [Date.now(), performance.now()];
  setInterval(() => {
    const jump = Date.now() - wall - (performance.now() - steady);
    [wall, steady] = [Date.now(), performance.now()];
    if (Math.abs(jump) > 2000) void ask(); // the clock was set, or the computer has slept
  }, 1000);
}

/** Asks for the standing at once: the stream may be dead without knowing. */
async function ask(): Promise<void> {
  try {
    const answer = await fetch("status", { cache: "no-store", signal: AbortSignal.timeout(5_000) });
    if (answer.ok) take((await answer.json()) as Standing);
  } catch {
    // the stream and the screen's own connection say that it cannot be reached
  }
}

function take(told: Standing): void {
  standing = told;
  if (told.now) ahead = Date.parse(told.now) - Date.now();
  show();
}

function show(): void {
  const left = standing.ends_at ? Date.parse(standing.ends_at) - (Date.now() + ahead) : Number.NaN;
  byId("left").textContent = words(left);
  byId("left").classList.toggle("soon", left < 5 * 60_000);
  if (standing.ending) {
    notice(standing.ending);
    return;
  }
  if (standing.ends_at !== warned) {
    warned = standing.ends_at ?? "";
    mark = Infinity; // another end: its warnings come anew
    if (!(left <= 10 * 60_000)) byId("notice").hidden = true;
  }
  const next = warning(left, mark);
  if (!next) return;
  mark = next.mark;
  notice(next.text);
  setTimeout(() => standing.ending || (byId("notice").hidden = true), 8000);
}

function notice(sentence: string): void {
  const element = byId("notice");
  if (element.textContent !== sentence) element.textContent = sentence;
  element.hidden = false;
}
