// What the browser tests share: a greenroom of their own, and a browser that trusts its authority as
// a person's would, through the certificate store of a home directory. No certificate error is ever ignored.
import { test as base, chromium, expect, type BrowserContext, type Page } from "@playwright/test";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

const binary = path.resolve("bin/greenroom");

// Debian's browser, or what stands in for it elsewhere. Nothing is downloaded.
const browser = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((p) => existsSync(p));

export interface Greenroom {
  url: string;
  data: string;
  home: string;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject).listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

async function until(what: string, holds: () => boolean | Promise<boolean>, seconds = 60): Promise<void> {
  for (const end = Date.now() + seconds * 1000; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`waited ${seconds} s in vain for ${what}`);
    await new Promise((r) => setTimeout(r, 100));
  }
}

async function answers(url: string): Promise<boolean> {
  return fetch(url).then((r) => r.ok, () => false);
}

async function endAll(url: string): Promise<void> {
  const { meetings } = (await (await fetch(`${url}/api/v1/meetings`)).json()) as { meetings: { id: string }[] };
  for (const { id } of meetings) await fetch(`${url}/api/v1/meetings/${id}/end`, { method: "POST" });
}

// certificateLife is that of an ACME authority's certificates, in seconds: enough for a proof, which wants a minute of it.
const certificateLife = 120;

// startPebble runs Pebble, the ACME authority of Let's Encrypt's own tests, which looks for challenges at a name server.
async function startPebble(data: string, nameServer: string): Promise<{ root: string; env: Record<string, string>; stop: () => void }> {
  const [port, management] = await Promise.all([freePort(), freePort()]);
  const at = (name: string): string => path.join(data, name);
  execFileSync("go", ["build", "-o", at("pebble"), "github.com/letsencrypt/pebble/v2/cmd/pebble"]);
  const goroot = execFileSync("go", ["env", "GOROOT"], { encoding: "utf8" }).trim();
  execFileSync("go", ["run", path.join(goroot, "src/crypto/tls/generate_cert.go"), "--host", "127.0.0.1", "--ca", "--ecdsa-curve", "P256"], { cwd: data, stdio: "ignore" });
  const profiles = { default: { description: "short", validityPeriod: certificateLife } };
  const pebble = {
    listenAddress: `127.0.0.1:${port}`, managementListenAddress: `127.0.0.1:${management}`, certificate: at("cert.pem"), privateKey: at("key.pem"),
    httpPort: 5002, tlsPort: 5001, keyAlgorithm: "ecdsa", profiles,
  };
  writeFileSync(at("pebble.json"), JSON.stringify({ pebble }));
  const log = openSync(at("pebble.log"), "a");
  const server = spawn(at("pebble"), ["-config", at("pebble.json"), "-dnsserver", nameServer], {
    stdio: ["ignore", log, log], env: { ...process.env, PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0" },
  });
  const own = readFileSync(at("cert.pem"), "utf8");
  let root = "";
  await until("Pebble", async () => {
    if (server.exitCode !== null) throw new Error(readFileSync(at("pebble.log"), "utf8"));
    return new Promise((resolve) => {
      get(`https://127.0.0.1:${management}/roots/0`, { ca: own }, (answer) => {
        answer.setEncoding("utf8").on("data", (s: string) => (root += s)).on("end", () => resolve(answer.statusCode === 200));
      }).once("error", () => resolve(false));
    });
  });
  writeFileSync(at("roots.pem"), own + root);
  return {
    root,
    env: { GREENROOM_CERTIFICATES_ISSUER: "acme", GREENROOM_CERTIFICATES_DIRECTORY_URL: `https://127.0.0.1:${port}/dir`, GREENROOM_CERTIFICATES_ROOTS_FILE: at("roots.pem") },
    stop: () => server.kill("SIGKILL"),
  };
}

// running lists the commands of processes that carry the mark of a desktop below a data directory: of any, or of one of these.
export function running(data: string, instances = [""]): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((d) => /^\d+$/.test(d))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ");
      const environ = readFileSync(`/proc/${pid}/environ`, "latin1");
      if (instances.some((id) => environ.includes(`GREENROOM_INSTANCE=${id}`)) && (command + environ).includes(data)) found.push(command);
    } catch {
      // it ended between the two looks, or is somebody else's
    }
  }
  return found;
}

export const test = base.extend<
  { people: (name: string, options?: Parameters<typeof chromium.launch>[0] & { phone?: boolean; dark?: boolean }) => Promise<Page> },
  { greenroom: Greenroom; access: "direct" | "gateway" | "single"; issuer: "local" | "acme" }
>({
  // access is how desktops are reached; a spec says test.use({ access: "gateway" }) for the other way.
  access: ["direct", { option: true, scope: "worker" }],

  // issuer is who signs what browsers see; "acme" is an authority of the test's own.
  issuer: ["local", { option: true, scope: "worker" }],

  greenroom: [
    async ({ access, issuer }, use) => {
      const data = mkdtempSync(path.join(tmpdir(), "greenroom-browser-"));
      const home = path.join(data, "home");
      const [http, desktops, dns] = await Promise.all([freePort(), freePort(), freePort()]);
      const api = `http://127.0.0.1:${http}`; // which this machine may use beside TLS
      const url = access === "single" ? `https://127.0.0.1:${http}` : api;
      const log = openSync(path.join(data, "serve.log"), "a");
      const acme = issuer === "acme" ? await startPebble(data, `127.0.0.1:${dns}`) : undefined;
      const server: ChildProcess = spawn(
        binary,
        ["serve", "--data-dir", data, "--listen", `127.0.0.1:${http}`, "--desktop-listen", `127.0.0.1:${desktops}`, "--dns-listen", `127.0.0.1:${dns}`],
        { stdio: ["ignore", log, log], env: { ...process.env, GREENROOM_PUBLIC_URL: url, GREENROOM_ACCESS: access, ...(access === "single" ? { GREENROOM_TLS_ISSUER: "local" } : {}), ...acme?.env } },
      );
      try {
        await until("the server", () => {
          if (server.exitCode !== null) throw new Error(readFileSync(path.join(data, "serve.log"), "utf8"));
          return answers(`${api}/readyz`);
        });
        const store = path.join(home, ".pki", "nssdb");
        mkdirSync(store, { recursive: true });
        const authority = path.join(data, "authority.pem");
        writeFileSync(authority, acme ? acme.root : await (await fetch(`${api}/ca.pem`)).text());
        execFileSync("certutil", ["-N", "-d", `sql:${store}`, "--empty-password"]);
        execFileSync("certutil", ["-A", "-d", `sql:${store}`, "-t", "C,,", "-n", "greenroom test", "-i", authority]);
        await use({ url, data, home });
      } finally {
        if (server.exitCode === null) await endAll(api); // desktops outlive their server, as they should
        const ended = new Promise((r) => server.once("exit", r));
        server.kill("SIGTERM");
        await ended;
        acme?.stop();
      }
      await until("every desktop to be gone", () => running(data).length === 0);
      rmSync(data, { recursive: true, force: true });
    },
    { scope: "worker", timeout: 120_000 },
  ],

  // people gives each name a browser profile of its own.
  people: async ({ greenroom }, use, info) => {
    const contexts: BrowserContext[] = [];
    await use(async (name, options = {}) => {
      const { phone, dark, ...launch } = options;
      const context = await chromium.launchPersistentContext(path.join(greenroom.data, "profiles", `${info.testId}-${name}`), {
        ...launch,
        executablePath: browser ?? "/usr/bin/chromium",
        viewport: phone ? { width: 390, height: 844 } : { width: 1280, height: 860 },
        colorScheme: dark ? "dark" : "light",
        env: { ...(process.env as Record<string, string>), HOME: greenroom.home },
        args: ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic", "--disable-gpu",
          ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])],
      });
      contexts.push(context);
      return context.pages()[0] ?? (await context.newPage());
    });
    for (const c of contexts) await c.close();
  },
});

// colours counts the different pixels of the desktop's canvas.
export function colours(page: Page): Promise<number> {
  return page.evaluate(() => {
    const canvas = document.querySelector("canvas");
    const context = canvas?.getContext("2d");
    if (!canvas || !context || !canvas.width) return 0;
    const pixels = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    return new Set(pixels).size;
  }).catch((e: Error) => (/navigation|context was destroyed/.test(e.message) ? 0 : Promise.reject(e))); // the page is still on its way
}

// schedule fills in the form for a meeting that starts now and returns its page.
export async function schedule(page: Page, url: string, title: string): Promise<string> {
  await page.goto(url);
  await page.getByLabel("Title").fill(title);
  await page.getByText("Start now").click();
  await page.getByLabel(/Teacher: Name/).fill("Teacher One");
  await page.getByLabel(/Student: Name/).fill("Student One");
  await page.getByRole("button", { name: "Schedule the meeting" }).click();
  await expect(page.getByRole("heading", { level: 1, name: title })).toBeVisible();
  return page.url();
}

// link is a role's join link on the meeting's page.
export function link(page: Page, role: string): Promise<string> {
  return page.getByLabel(`${role}’s link`).inputValue();
}

// arrive opens a join link as a person does, who moves the pointer: a page that nobody is in front of does not enter by
// itself unless it was waiting.
export async function arrive(page: Page, link: string): Promise<void> {
  await page.goto(link);
  await page.mouse.move(200, 200);
  await page.mouse.move(240, 220);
}

export { expect, until };
