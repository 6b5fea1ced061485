// Says that a page may be out of date: the computer is offline, or the server does not answer.
import { onOutcome } from "./region.ts";
import { now } from "./times.ts";

/** Shows the page's notice from the first question without an answer to the next one with an answer. */
export function sayWhenStale(): void {
  const notice = document.getElementById("stale");
  if (!notice) return;
  const since = notice.querySelector("time")!;
  let fresh = now();
  const stale = () => {
    if (!notice.hidden) return;
    since.dateTime = new Date(fresh).toISOString();
    since.textContent = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(new Date(fresh));
    notice.hidden = false;
  };
  onOutcome((outcome) => {
    if (outcome === "unreachable") return stale();
    fresh = now();
    notice.hidden = true;
  });
  addEventListener("offline", stale);
}
