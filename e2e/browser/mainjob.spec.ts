import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { arrive, colours, expect, link, running, schedule, test, until } from "./greenroom.ts";

test("from the form to the desktop and out again", async ({ greenroom, people }) => {
  const organiser = await people("organiser");
  const teacher = await people("teacher");
  const student = await people("student", { phone: true, dark: true });
  const complaints: string[] = [];
  for (const page of [organiser, teacher, student]) {
    page.on("console", (m) => m.type() === "error" && complaints.push(m.text()));
    page.on("pageerror", (e) => complaints.push(String(e)));
  }

  await schedule(organiser, greenroom.url, "Algebra");
  await arrive(teacher, await link(organiser, "Teacher"));
  await arrive(student, await link(organiser, "Student"));

  // Both wait in the lobby and are let in by themselves, over TLS that the browser trusts.
  for (const page of [teacher, student]) {
    await page.waitForURL(/^https:\/\/i-[0-9a-f]{17}\.desk\.localhost:/, { timeout: 60_000 });
    expect(page.url()).not.toContain("authToken");
    await until("a painted desktop", async () => (await colours(page)) > 2);
  }
  await expect(organiser.locator("#seat-teacher")).toContainText(/in use|connected/i);

  // What the teacher types arrives in the desktop's own shell, and in nobody else's.
  const instance = new URL(teacher.url()).hostname.split(".")[0]!;
  const typed = path.join(greenroom.data, "desktops", instance, "home", "typed");
  await teacher.locator("canvas").click(); // the terminal stands in the middle
  await until("the typed text", async () => {
    await teacher.keyboard.type("echo algebra > ~/typed\n", { delay: 15 });
    return existsSync(typed) && readFileSync(typed, "utf8") === "algebra\n";
  });

  // A reload needs no new way in.
  await teacher.reload();
  await until("the desktop after a reload", async () => (await colours(teacher)) > 2);
  expect(complaints).toEqual([]);

  // The organiser ends it, and both pages say so. Other tests may have desktops on the same server.
  const instances = [teacher, student].map((page) => new URL(page.url()).hostname.split(".")[0]!);
  await organiser.getByText("End the meeting").click();
  await organiser.getByRole("button", { name: "End now" }).click();
  await expect(organiser.getByText(/ended/i).first()).toBeVisible();
  for (const page of [teacher, student]) {
    await expect(page.getByText(/organiser has ended this meeting|ended by the organiser/i).first()).toBeVisible({ timeout: 40_000 });
  }
  await until("every process of the desktops to be gone", () => running(greenroom.data, instances).length === 0);
  await until("their files to be gone", () => !existsSync(path.join(greenroom.data, "desktops", instance)));
});

test("a cancelled meeting's lobby says so", async ({ greenroom, people }) => {
  const organiser = await people("organiser");
  await organiser.goto(greenroom.url);
  await organiser.getByLabel("Title").fill("Geometry");
  await organiser.getByLabel(/Student: Name/).fill("Student One");
  // Long before the start there is no desktop to be taken to, whatever the clock says now.
  const start = new Date(Date.now() + 26 * 3_600_000).toISOString().slice(0, 16);
  await organiser.locator("[name=starts_at]").fill(start);
  await organiser.getByRole("button", { name: "Schedule the meeting" }).click();
  await expect(organiser.getByRole("heading", { level: 1, name: "Geometry" })).toBeVisible();
  const participant = await people("participant", { phone: true });
  await participant.goto(await link(organiser, "Student"));
  await expect(participant.getByText(/starts in/i)).toBeVisible();
  await organiser.getByText("Cancel the meeting").first().click();
  await organiser.getByRole("button", { name: "Cancel the meeting now" }).click();
  // So early the lobby asks every half minute or so.
  await expect(participant.getByText(/cancelled/i).first()).toBeVisible({ timeout: 60_000 });
});

test("a wrong link is refused in words", async ({ greenroom, people }) => {
  const organiser = await people("organiser");
  await schedule(organiser, greenroom.url, "Physics");
  const stranger = await people("stranger");
  const good = new URL(await link(organiser, "Teacher"));
  good.searchParams.set("key", "nonsense");
  const answer = await stranger.goto(good.href);
  expect(answer?.status()).toBe(403);
  await expect(stranger.getByText(/ask the organiser/i).first()).toBeVisible();
});
