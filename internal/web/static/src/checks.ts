// The lobby's look at the participant's computer, while there is still time to fix something.

type Verdict = "good" | "fair" | "bad";

/** What each check that failed says; only those without which a desktop is of no use. */
const failed = new Map<string, string>();
let changed: () => void = () => {};

/** Why a desktop could not be used from this computer: a sentence, or nothing. */
export function obstacle(): string {
  return [...failed.values()].join(" ");
}

function say(check: string, verdict: Verdict, text: string): void {
  if (verdict === "bad" && check in without) failed.set(check, without[check]!);
  else failed.delete(check);
  changed();
  const line = document.querySelector<HTMLElement>(`[data-check="${check}"]`);
  if (!line) return;
  line.className = verdict;
  line.querySelector(".check-said")!.textContent = text;
}

/** What does not work without it, by check. */
const without: Record<string, string> = {
  browser: "This browser cannot show a desktop: use a current Firefox, Chrome, Edge or Safari.",
  cookies: "Cookies are blocked, and without them the desktop cannot tell that it is you: allow cookies in the browser's settings, then reload this page.",
  connection: "WebSockets do not get through to the server, and the desktop's screen comes through one: try another network.",
};

/** Looks at what needs no permission at once, and at microphone and camera when asked to. Calls back whenever a check has
 * a result; the promise ends when all of the first look have one. */
export async function checkComputer(onResult: () => void): Promise<void> {
  const section = document.getElementById("checks");
  if (!section) return;
  changed = onResult;
  section.hidden = false;
  browser();
  cookies();
  screenSize();
  addEventListener("resize", screenSize);
  addEventListener("online", () => void connection());
  document.getElementById("media-start")!.addEventListener("click", () => void media());
  await connection();
}

function browser(): void {
  const missing: string[] = [];
  if (!("WebSocket" in window)) missing.push("WebSockets");
  if (!document.createElement("canvas").getContext("2d")) missing.push("canvas drawing");
  if (missing.length > 0) say("browser", "bad", `Lacks ${missing.join(" and ")}. Use a current Firefox, Chrome, Edge or Safari.`);
  else say("browser", "good", "Can show a desktop");
}

function cookies(): void {
  document.cookie = "greenroom_check=1; SameSite=Lax; Max-Age=10";
  const kept = document.cookie.includes("greenroom_check=1");
  document.cookie = "greenroom_check=; Max-Age=0";
  if (kept) say("cookies", "good", "Allowed");
  else say("cookies", "bad", "Blocked. Allow cookies in the browser's settings, then reload this page.");
}

function screenSize(): void {
  const [w, h] = [innerWidth, innerHeight];
  if (w >= 1000 && h >= 560) say("screen", "good", `${w} × ${h}`);
  else say("screen", "fair", `${w} × ${h}: works, but a desktop is easier to use on a larger window`);
}

/** Measures round trips over a WebSocket, since that is what a desktop is shown through; where the server holds none, over plain requests. */
async function connection(): Promise<void> {
  try {
    const times = await ("plain" in document.getElementById("checks")!.dataset ? requests(4) : roundTrips(4));
    const best = Math.min(...times);
    const shown = best < 1 ? "under 1 ms" : `${Math.round(best)} ms`;
    if (best < 150) say("connection", "good", `Fast: ${shown} to the server and back`);
    else say("connection", "fair", `Slow: ${shown} to the server and back. The desktop will lag; try a cable or come closer to the Wi-Fi.`);
  } catch {
    say("connection", "bad", "WebSockets do not get through. A firewall or proxy may block them; try another network.");
  }
}

async function requests(count: number): Promise<number[]> {
  const times: number[] = [];
  while (times.length < count) {
    const sent = performance.now();
    await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(8_000) });
    times.push(performance.now() - sent);
  }
  return times;
}

function roundTrips(count: number): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/check/socket`);
    const times: number[] = [];
    let sent = 0;
    const ping = () => {
      sent = performance.now();
      socket.send("ping");
    };
    const late = setTimeout(() => socket.close(), 8_000);
    socket.onopen = ping;
    socket.onmessage = () => {
      times.push(performance.now() - sent);
      if (times.length < count) ping();
      else socket.close();
    };
    socket.onclose = () => {
      clearTimeout(late);
      if (times.length > 0) resolve(times);
      else reject(new Error("no round trip"));
    };
  });
}

async function media(): Promise<void> {
  if (!navigator.mediaDevices) {
    say("microphone", "bad", "Only over https");
    say("camera", "bad", "Only over https");
    return;
  }
  const start = document.getElementById("media-start") as HTMLButtonElement;
  start.disabled = true;
  const streams = [await open("microphone", { audio: true }), await open("camera", { video: true })];
  const found = streams.filter((s): s is MediaStream => s !== undefined);
  start.disabled = false;
  if (found.length === 0) return;
  show(streams[0], streams[1], () => found.forEach((s) => s.getTracks().forEach((t) => t.stop())));
}

async function open(check: "microphone" | "camera", wanted: MediaStreamConstraints): Promise<MediaStream | undefined> {
  say(check, "fair", "Your browser asks whether it may");
  try {
    const stream = await navigator.mediaDevices.getUserMedia(wanted);
    say(check, "good", stream.getTracks()[0]?.label || "Works");
    return stream;
  } catch (error) {
    say(check, "bad", reason(error, check));
    return undefined;
  }
}

function reason(error: unknown, check: string): string {
  switch (error instanceof DOMException ? error.name : "") {
    case "NotAllowedError":
      return "Not allowed. Allow it in the browser's address bar and try again.";
    case "NotFoundError":
      return `No ${check} found. Plug one in and try again.`;
    case "NotReadableError":
      return "Used by another program. Close that and try again.";
    default:
      return "Does not work in this browser";
  }
}

function show(sound: MediaStream | undefined, picture: MediaStream | undefined, release: () => void): void {
  const box = document.getElementById("media-show")!;
  const video = document.getElementById("media-video") as HTMLVideoElement;
  const start = document.getElementById("media-start")!;
  box.hidden = false;
  start.hidden = true;
  video.hidden = picture === undefined;
  if (picture) {
    video.srcObject = picture;
    void video.play();
  }
  const quiet = sound ? meter(sound) : () => {};
  const stop = () => {
    quiet();
    release();
    video.srcObject = null;
    box.hidden = true;
    start.hidden = false;
  };
  document.getElementById("media-stop")!.onclick = stop;
  addEventListener("pagehide", stop, { once: true });
}

/** Shows how loud it is until the returned function is called. */
function meter(sound: MediaStream): () => void {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(sound).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const level = document.getElementById("media-level") as HTMLMeterElement;
  let frame = 0;
  const draw = () => {
    analyser.getFloatTimeDomainData(samples);
    level.value = Math.min(1, 4 * Math.sqrt(samples.reduce((sum, s) => sum + s * s, 0) / samples.length));
    frame = requestAnimationFrame(draw);
  };
  draw();
  return () => {
    cancelAnimationFrame(frame);
    void context.close();
  };
}
