// Times that move: how long until, how long since, and the reader's own time zone.
import { onContent, refresh } from "./region.ts";
import { zoneName } from "./zones.ts";

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const thin = "\u202f";

/** How far the server's clock is ahead of this computer's, which may be wrong. */
let ahead = 0;
let heard = ""; // the server's time when the page said so last

/** The time by the server's clock. */
export function now(): number {
  return Date.now() + ahead;
}

/** Notes what the server's clock shows at this moment, in milliseconds. */
export function serverTime(ms: number): void {
  if (Number.isFinite(ms) && ms > 0) ahead = ms - Date.now();
}

/** A span as people say it, with at most two units: the same words the server uses. */
export function roughly(ms: number): string {
  const rounded = Math.abs(ms) < 10 * minute ? Math.round(Math.abs(ms) / second) * second : Math.round(Math.abs(ms) / minute) * minute;
  if (rounded < second) return "a moment";
  const parts: string[] = [];
  let rest = rounded;
  for (const [size, word] of [[day, "d"], [hour, "h"], [minute, "min"], [second, "s"]] as const) {
    const n = Math.floor(rest / size);
    if (n > 0) parts.push(`${n}${thin}${word}`);
    rest -= n * size;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

export function relative(ms: number): string {
  if (ms >= second) return `in ${roughly(ms)}`;
  if (ms <= -second) return `${roughly(ms)} ago`;
  return "now";
}

/** A countdown's digits: 1:02:03, or the days and hours when it is far. */
export function digits(ms: number): string {
  if (ms >= day) return roughly(ms);
  const total = Math.max(0, Math.ceil(ms / second));
  const two = (n: number) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** Keeps every time on the page right until the page goes. */
export function keepTimes(): void {
  onContent(() => {
    const told = document.querySelector<HTMLElement>("[data-now]")?.dataset["now"];
    if (told && told !== heard) {
      heard = told;
      serverTime(Date.parse(told));
    }
    ownZone();
    tick();
  });
  setInterval(tick, second);
  afterJumps(refresh);
}

/** Calls back when this computer's clock has jumped: it was set, or the computer has slept. */
function afterJumps(call: () => void): void {
  let [wall, steady] = [Date.now(), performance.now()];
  setInterval(() => {
    const [nextWall, nextSteady] = [Date.now(), performance.now()];
    const slept = nextSteady - steady > 10 * second && !document.hidden; // hidden pages are let run once a minute
    const jumped = Math.abs(nextWall - wall - (nextSteady - steady)) > 2 * second;
    [wall, steady] = [nextWall, nextSteady];
    if (jumped || slept) call();
  }, second);
}

function tick(): void {
  for (const el of document.querySelectorAll<HTMLElement>("[data-relative]")) {
    const ms = Date.parse(el.dataset["relative"]!) - now();
    const word = ms > 0 ? el.dataset["before"] : el.dataset["after"];
    write(el, word ? `${word} ${relative(ms)}` : relative(ms));
  }
  for (const el of document.querySelectorAll<HTMLElement>("[data-countdown]")) {
    const ms = Date.parse(el.dataset["countdown"]!) - now();
    write(el, ms > 0 ? digits(ms) : relative(ms));
    const label = document.querySelector<HTMLElement>("[data-count-label]");
    if (label) write(label, ms > 0 ? "Starts in" : "Started");
  }
}

function write(el: HTMLElement, text: string): void {
  if (el.textContent !== text) el.textContent = text;
}

/** Says a meeting's time in the reader's zone, where that is another time of day. */
function ownZone(): void {
  for (const el of document.querySelectorAll<HTMLElement>("[data-own-zone]")) {
    const [from, to] = [new Date(el.dataset["ownZone"]!), new Date(el.dataset["until"]!)];
    const shown = el.parentElement?.querySelector("time[datetime]")?.textContent ?? el.parentElement?.textContent ?? "";
    const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
    const date = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });
    const span = `${time.format(from)}\u2009–\u2009${time.format(to)}`;
    el.hidden = shown.includes(span);
    write(el, `For you: ${date.format(from)}, ${span} (${zoneName().replaceAll("_", " ")})`);
  }
}
