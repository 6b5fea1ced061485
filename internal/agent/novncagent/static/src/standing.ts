// What the desktop says beside the screen: when the meeting ends, that the desktop is about to go, and where
// its participant then goes.
import { byId } from "./dom.ts";

interface Standing {
  ends_at?: string;
  ending?: string;
  return_url: string;
}

let standing: Standing = { return_url: document.body.dataset["return"] ?? "" };

/** Why the desktop is about to go, once that is known. */
export const ending = (): string => standing.ending ?? "";

/** The lobby, which says what goes on; empty if nobody told. */
export const lobby = (): string => standing.return_url;

const minute = 60_000;
const told = new Set<number>();

/** Follows the desktop's notices; the browser connects again by itself when the stream breaks. */
export function follow(): void {
  new EventSource("/notices").addEventListener("standing", (event) => {
    standing = JSON.parse(event.data) as Standing;
    show();
  });
  setInterval(show, 1000);
}

function show(): void {
  const left = standing.ends_at ? Date.parse(standing.ends_at) - Date.now() : Number.NaN;
  byId("left").textContent = words(left);
  byId("left").classList.toggle("soon", left < 5 * minute);
  if (standing.ending) {
    notice(standing.ending);
    return;
  }
  const mark = [1, 5, 10].find((m) => left > 0 && left <= m * minute);
  if (mark === undefined || told.has(mark)) return;
  told.add(mark);
  notice(mark === 1 ? "The meeting ends in a minute." : `The meeting ends in ${mark} minutes.`);
  setTimeout(() => standing.ending || (byId("notice").hidden = true), 8000);
}

function notice(sentence: string): void {
  const element = byId("notice");
  if (element.textContent !== sentence) element.textContent = sentence;
  element.hidden = false;
}

function words(left: number): string {
  if (Number.isNaN(left)) return "";
  if (left <= 0) return "time is up";
  if (left < minute) return `${Math.ceil(left / 1000)} s left`;
  const minutes = Math.ceil(left / minute);
  return minutes < 60 ? `${minutes} min left` : `${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
}
