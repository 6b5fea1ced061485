// Tells people who cannot see the page what has changed on it.
import { onContent, region } from "./region.ts";

/** Puts the live part's one-sentence summary into the polite live region, when it is another one than before. */
export function announceChanges(): void {
  let last = region()?.dataset["announce"];
  onContent(() => {
    const said = region()?.dataset["announce"];
    const announce = document.getElementById("announce");
    if (said === undefined || said === last || !announce) return;
    last = said;
    announce.textContent = said;
  });
}
