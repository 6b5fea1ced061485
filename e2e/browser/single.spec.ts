import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { arrive, colours, expect, link, schedule, test, until } from "./greenroom.ts";

test.use({ access: "single" });

test("everything through one address with TLS", async ({ greenroom, people }) => {
  const organiser = await people("organiser");
  const teacher = await people("teacher");
  const complaints: string[] = [];
  const elsewhere: string[] = [];
  for (const page of [organiser, teacher]) {
    page.on("console", (m) => m.type() === "error" && complaints.push(m.text()));
    page.on("pageerror", (e) => complaints.push(String(e)));
    page.on("request", (r) => new URL(r.url()).host !== new URL(greenroom.url).host && !r.url().startsWith("data:") && !r.url().startsWith("blob:") && elsewhere.push(r.url()));
  }
  await schedule(organiser, greenroom.url, "Algebra");
  await arrive(teacher, await link(organiser, "Teacher"));
  await teacher.waitForURL(/\/d\/i-[0-9a-f]{17}\//, { timeout: 60_000 });
  expect(teacher.url()).not.toContain("authToken");
  await until("a painted desktop", async () => (await colours(teacher)) > 2);

  // What the teacher types arrives in the desktop's own shell.
  const instance = /\/d\/(i-[0-9a-f]{17})\//.exec(teacher.url())![1]!;
  const typed = path.join(greenroom.data, "desktops", instance, "home", "typed");
  await teacher.locator("canvas").click(); // the terminal stands in the middle
  await until("the typed text", async () => {
    await teacher.keyboard.type("echo algebra > ~/typed\n", { delay: 15 });
    return existsSync(typed) && readFileSync(typed, "utf8") === "algebra\n";
  });

  // One cookie, for this desktop alone; none is the agent's.
  const cookies = (await teacher.context().cookies(teacher.url())).filter((c) => c.path !== "/");
  expect(cookies.map((c) => [c.name, c.path, c.secure, c.httpOnly])).toEqual([["__Secure-greenroom-desktop", `/d/${instance}/`, true, true]]);
  await expect(teacher.locator("#left")).toContainText(/left/);
  await teacher.reload();
  await until("the desktop after a reload", async () => (await colours(teacher)) > 2);

  // The page's policy: no script of its own making, and no way to the organiser's API.
  const stopped = await teacher.evaluate(async () => fetch("/api/v1/meetings").then(() => "asked", () => "refused"));
  expect(stopped).toBe("refused");
  const expected = complaints.splice(0).filter((c) => !/Content Security Policy|api\/v1\/meetings/.test(c));
  expect(expected).toEqual([]);

  await organiser.getByText("End the meeting").click();
  await organiser.getByRole("button", { name: "End now" }).click();
  await expect(teacher.getByText(/organiser has ended this meeting|ended by the organiser/i).first()).toBeVisible({ timeout: 40_000 });
  expect(elsewhere).toEqual([]);
});
