// The connection to the screen: opened, lost, tried again, given up.
import RFB from "@novnc/novnc";
import { byId } from "./dom.ts";
import { ending, lobby } from "./standing.ts";

const pauses = [300, 700, 1500, 3000, 5000]; // ms between tries; after the last one the lobby knows more
const goingAway = 1001; // the desktop itself closed the connection, and says why
const occupied = 4409; // another browser owns the screen; the reason says which
const takenOver = 4410; // another one has taken it from us
const disconnected = 4403; // by the organiser, or the link was replaced
const farewell = 2500; // ms to read the reason

// The desktop takes the size of a wide window. A narrow one shows it smaller: a desktop as small as a phone would
// be of no use.
const wide = matchMedia("(min-width: 48rem)");
wide.addEventListener("change", () => {
  if (rfb) rfb.resizeSession = wide.matches && mode !== "watch";
});

// A page that only watches leaves the screen's size to whoever owns it.
type Mode = "ask" | "takeover" | "watch";
interface Place {
  client: string;
  at: string;
  same?: boolean;
}
let mode: Mode = "ask";

let rfb: RFB | undefined;
let current: WebSocket | undefined;
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
  url.search = `?mode=${mode}`;
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
  next.viewOnly = mode === "watch";
  next.resizeSession = wide.matches && mode !== "watch";
  next.addEventListener("connect", () => {
    rfb = next;
    tries = 0;
    if (mode === "takeover") mode = "ask"; // a lost connection asks, and does not fight
    byId("watching").hidden = mode !== "watch";
    overlay();
    next.focus();
  });
  next.addEventListener("clipboard", (event) => onCopy((event as CustomEvent<{ text: string }>).detail.text));
  current = socket;
  socket.addEventListener("close", (event) => {
    if (socket !== current) return; // another one has taken its place
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

/** Watches no longer, but takes the desktop over. */
export function takeOver(onCopy: (text: string) => void): void {
  open("takeover", () => connect(onCopy));
}

function open(as: Mode, again: () => void): void {
  mode = as;
  const before = rfb;
  rfb = undefined;
  current = undefined;
  before?.disconnect();
  again();
}

function place(event: CloseEvent): Place {
  try {
    return JSON.parse(event.reason) as Place;
  } catch {
    return { client: "", at: "" };
  }
}

function from(where: Place): string {
  return where.client ? ` (${where.client})` : "";
}

function clock(at: string): string {
  const time = new Date(at);
  return Number.isNaN(time.getTime()) ? "" : time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/** Says that the desktop is open elsewhere, and asks what to do. */
function choose(heading: string, sentence: string, again: () => void): void {
  overlay(heading, sentence);
  byId("choices").hidden = false;
  byId("takeover").onclick = () => open("takeover", again);
  byId("watch").onclick = () => open("watch", again);
  byId("cancel").onclick = () => {
    overlay("This desktop stays where it is", "Nothing was changed. You can close this page, or go to the lobby.");
    goToLobby();
  };
  byId("takeover").focus();
}

function closed(event: CloseEvent, again: () => void): void {
  byId("watching").hidden = true;
  if (event.code === occupied) {
    const where = place(event);
    const since = clock(where.at);
    choose("This desktop is open elsewhere",
      `Another browser${from(where)} has it open${since && ` since ${since}`}. Take it over, and that one is disconnected; or watch what it does.`, again);
    return;
  }
  if (event.code === takenOver) {
    const where = place(event);
    const at = clock(where.at);
    choose(where.same ? "Opened in another tab" : "Taken over by another browser",
      `${where.same ? "This browser" : `Another browser${from(where)}`} took this desktop over${at && ` at ${at}`}. What is open on it stays open.`, again);
    return;
  }
  if (event.code === disconnected) {
    overlay("You were disconnected", `${event.reason} What is open on the desktop stays open.`);
    return;
  }
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
  byId("choices").hidden = true;
  byId("again").hidden = !again;
  byId("again").onclick = again ?? null;
  const link = document.getElementById("lobby");
  if (link) link.hidden = heading === "";
}
