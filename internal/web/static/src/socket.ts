// Hears from the server that something has changed, and what time it is there. It is a WebSocket and no event stream: of
// those, browsers let six be open to one server over HTTP/1.1, and the seventh tab would load nothing more.
import { serverTime } from "./times.ts";

const silence = 45_000; // the server says something every 20 seconds
const firstPause = 1_000;
const longestPause = 60_000;

/** Calls back after every change, until there is no address any more; the result tells whether the server is being heard. */
export function listen(address: () => string | undefined, changed: () => void): () => boolean {
  let socket: WebSocket | undefined;
  let heard = 0; // when something came last
  let pause = firstPause;
  let timer = 0;

  function open(): void {
    clearTimeout(timer);
    const path = address();
    if (path === undefined || socket) return;
    const next = (socket = new WebSocket(new URL(path, location.href).href.replace(/^http/, "ws")));
    heard = Date.now();
    next.onmessage = (event: MessageEvent<string>) => {
      heard = Date.now();
      pause = firstPause;
      const [word, at] = event.data.split(" ");
      serverTime(Number(at));
      if (word === "changed") changed();
    };
    next.onclose = () => {
      if (socket === next) lost();
    };
  }

  function lost(): void {
    const had = socket?.readyState === WebSocket.OPEN || pause === firstPause;
    socket = undefined;
    timer = setTimeout(open, pause * (0.5 + Math.random()));
    pause = Math.min(pause * 2, longestPause);
    if (had) changed(); // whether the server is still there is seen by asking it
  }

  /** Connects anew when nothing was heard for too long: a computer that slept, or a network that changed. */
  function look(): void {
    if (socket && Date.now() - heard > silence) {
      const old = socket;
      socket = undefined;
      old.close();
      lost();
    }
  }

  function wake(): void {
    if (document.hidden) return;
    look();
    if (!socket) {
      pause = firstPause;
      open();
    }
  }

  open();
  setInterval(look, 5_000);
  addEventListener("online", wake);
  document.addEventListener("visibilitychange", wake);
  addEventListener("pageshow", wake);
  addEventListener("pagehide", () => {
    const old = socket;
    socket = undefined; // a page with an open socket is not kept for the back button
    old?.close();
    clearTimeout(timer);
  });
  return () => socket?.readyState === WebSocket.OPEN;
}
