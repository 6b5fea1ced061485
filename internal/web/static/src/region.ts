// The part of a page with id "live" is asked for again by htmx whenever it gets the event "refresh".
// Here is how scripts ask, and hear how it went.
import htmx from "htmx.org";

export type Outcome = "fresh" | "unreachable";

export function region(): HTMLElement | null {
  return document.getElementById("live");
}

/** Asks for the live part again. */
export function refresh(): void {
  const live = region();
  if (live) htmx.trigger(live, "refresh");
}

/** Calls back after every answer, or when there was none that could be used. */
export function onOutcome(heard: (outcome: Outcome) => void): void {
  document.addEventListener("htmx:finally:request", (event) => {
    const status = event.detail.ctx.response?.status ?? 0;
    heard(status === 0 || status === 429 || status >= 500 ? "unreachable" : "fresh");
  });
}

/** Calls back once now, and after every change of the live part. */
export function onContent(apply: () => void): void {
  apply();
  document.addEventListener("htmx:after:swap", apply);
}
