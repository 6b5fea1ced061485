// Keeps an organiser's page as fresh as the meeting: told over a socket, or by asking now and then where none comes
// through. A hidden page asks nothing, and everything when it is looked at again.
import { refresh, region } from "./region.ts";
import { listen } from "./socket.ts";

const askEvery = 5_000; // without a socket
const askAnyway = 60_000; // with one: it may be dead without either side knowing

export function keepLive(): void {
  const live = region();
  if (live?.dataset["every"]) return ask(() => Number(live.dataset["every"]));
  const address = live?.dataset["live"];
  if (address === undefined) return;
  const heard = address === "" ? () => false : listen(() => address, look);
  ask(() => (heard() ? askAnyway : askEvery));
}

function look(): void {
  if (!document.hidden) refresh();
}

function ask(pause: () => number): void {
  const again = () => {
    look();
    setTimeout(again, pause() * (0.9 + 0.2 * Math.random()));
  };
  setTimeout(again, pause());
  document.addEventListener("visibilitychange", look);
  addEventListener("online", look);
  addEventListener("pageshow", (event) => {
    if (event.persisted) look();
  });
}
