// The connection to the screen: opened, lost, tried again, given up.
import RFB from "@novnc/novnc";
import { byId } from "./dom.ts";
import { ending, lobby } from "./standing.ts";

const pauses = [300, 700, 1500, 3000, 5000]; // ms between tries; after the last one the lobby knows more
const goingAway = 1001; // the desktop itself closed the connection, and says why
const farewell = 2500; // ms to read the reason

// The desktop takes the size of a wide window. A narrow one shows it smaller: a desktop as small as a phone would
// be of no use.
const wide = matchMedia("(min-width: 48rem)");
wide.addEventListener("change", () => {
  if (rfb) rfb.resizeSession = wide.matches;
});

let rfb: RFB | undefined;
let tries = 0;
let leaving = false;
let timer: ReturnType<typeof setTimeout> | undefined;

/** The screen, while it is connected. */
export const screen = (): RFB | undefined => rfb;

/** Where the screen's connection leads: beside this page. */
function address(): string {
  const url = new URL("websockify", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = ""; // a WebSocket's address has none
  return url.href;
}

/** Opens the connection; what the desktop copies is given to onCopy. */
export function connect(onCopy: (text: string) => void): void {
  clearTimeout(timer);
  byId("again").hidden = true;
  const socket = new WebSocket(address(), ["binary"]);
  const next = new RFB(byId("screen"), socket, { shared: true });
  next.background = "transparent";
  next.scaleViewport = true;
  next.resizeSession = wide.matches;
  next.addEventListener("connect", () => {
    rfb = next;
    tries = 0;
    overlay();
    next.focus();
  });
  next.addEventListener("clipboard", (event) => onCopy((event as CustomEvent<{ text: string }>).detail.text));
  socket.addEventListener("close", (event) => {
    rfb = undefined;
    if (!leaving) closed(event, () => connect(onCopy));
  });
}

/** Leaves the desktop for the lobby. */
export function leave(): void {
  leaving = true;
  rfb?.disconnect();
  overlay("You left the desktop", "It stays as it is until the meeting ends: reload this page to come back.");
  goToLobby();
}

function closed(event: CloseEvent, again: () => void): void {
  const reason = ending() || (event.code === goingAway ? event.reason : "");
  if (reason) {
    overlay("This desktop is closing", reason);
    timer = setTimeout(goToLobby, farewell);
    return;
  }
  const pause = pauses[tries++];
  if (pause === undefined) {
    tries = 0;
    overlay("The desktop cannot be reached", "The connection was lost and did not come back. The lobby says what is going on.", again);
    timer = setTimeout(goToLobby, farewell);
    return;
  }
  overlay("Connecting again", "The connection to the desktop was lost. What is open on it stays open.", again);
  timer = setTimeout(again, pause);
}

function goToLobby(): void {
  if (lobby()) location.assign(lobby());
}

/** Shows the overlay with a heading and a sentence, or, without them, the screen. */
function overlay(heading = "", sentence = "", again?: () => void): void {
  byId("overlay").hidden = heading === "";
  byId("overlay-title").textContent = heading;
  byId("overlay-text").textContent = sentence;
  byId("again").hidden = !again;
  byId("again").onclick = again ?? null;
  const link = document.getElementById("lobby");
  if (link) link.hidden = heading === "";
}
