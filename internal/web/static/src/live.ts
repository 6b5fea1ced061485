// Keeps an organiser's page as fresh as the meeting: told by server-sent events, or by asking now and then
// where those do not come through.
import { refresh, region } from "./region.ts";

const askEvery = 5_000; // without a stream
const askAnyway = 60_000; // with one: a stream may be dead without either side knowing

export function keepLive(): void {
  const live = region();
  if (live?.dataset["every"]) return ask(() => Number(live.dataset["every"]));
  const address = live?.dataset["live"];
  if (!address) return;
  const stream = new EventSource(address);
  stream.addEventListener("changed", () => refresh());
  ask(() => (stream.readyState === EventSource.OPEN ? askAnyway : askEvery));
}

function ask(pause: () => number): void {
  const again = () => {
    if (!document.hidden) refresh();
    setTimeout(again, pause() * (0.9 + 0.2 * Math.random()));
  };
  setTimeout(again, pause());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refresh();
  });
}
