import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, link, schedule, test, until } from "./greenroom.ts";

const desktop = /^https:\/\/i-[0-9a-f]{17}\.desk\.localhost:/;

// ready waits until the API says that every desktop of the meeting on the page is ready.
async function ready(url: string, id: string): Promise<void> {
  await until("ready desktops", async () => {
    const meeting = (await (await fetch(`${url}/api/v1/meetings/${id}`)).json()) as { seats: { desktop: { phase: string } }[] };
    return meeting.seats.every((s) => s.desktop.phase === "ready");
  });
}

test("a program that opens a link does not enter, and a person does with one move", async ({ greenroom, people }) => {
  const organiser = await people("organiser");
  const id = new URL(await schedule(organiser, greenroom.url, "Scanner")).pathname.split("/").at(-1)!;
  await ready(greenroom.url, id);
  const student = await people("student");
  await student.goto(await link(organiser, "Student"));
  await expect(student.getByRole("button", { name: "Enter now" })).toBeVisible();
  await expect(student.locator('[data-check="connection"]')).toHaveClass("good");
  await student.waitForTimeout(4_000); // longer than an automatic entry takes
  expect(student.url()).toContain("/join/");
  const meeting = (await (await fetch(`${greenroom.url}/api/v1/meetings/${id}`)).json()) as { seats: { role: string; desktop: { phase: string } }[] };
  expect(meeting.seats.map((s) => s.desktop.phase)).toEqual(["ready", "ready"]);
  await student.mouse.move(200, 200);
  await student.mouse.move(240, 220);
  await student.waitForURL(desktop, { timeout: 20_000 });
});

test("without cookies nobody is sent away by itself, and the cause is named", async ({ greenroom, people }, info) => {
  const organiser = await people("organiser");
  const id = new URL(await schedule(organiser, greenroom.url, "Cookies")).pathname.split("/").at(-1)!;
  const profile = path.join(greenroom.data, "profiles", `${info.testId}-nocookies`, "Default");
  mkdirSync(profile, { recursive: true });
  writeFileSync(path.join(profile, "Preferences"), JSON.stringify({ profile: { default_content_setting_values: { cookies: 2 } } }));
  const student = await people("nocookies");
  const address = await link(organiser, "Student");
  await student.goto(address);
  await expect(student.locator('[data-check="cookies"]')).toContainText("Blocked");
  await expect(student.locator("#blocked")).toContainText("This page does not let you in by itself. Cookies are blocked");
  await ready(greenroom.url, id);
  await expect(student.getByRole("button", { name: "Enter now" })).toBeVisible();
  await student.mouse.move(200, 200);
  await student.waitForTimeout(3_000);
  expect(student.url()).toBe(address);
  await student.getByRole("button", { name: "Enter now" }).click();
  await student.waitForURL(desktop, { timeout: 20_000 });
  await expect(student.getByRole("heading", { name: "Your browser blocks cookies" })).toBeVisible();
  await student.getByRole("link", { name: "Go to the lobby" }).click();
  await student.waitForURL(address);
  await expect(student.getByRole("heading", { name: "Your desktop is ready" })).toBeVisible();
  const bare = await student.goto(address.split("?")[0]!);
  expect(bare?.status()).toBe(403);
  await expect(student.getByText("Blocked cookies are the usual reason")).toBeVisible();
});

test("ten tabs of meetings and ten lobbies load, and their buttons work", async ({ greenroom, people }) => {
  const first = await people("organiser");
  const context = first.context();
  const pages = [first];
  const address = await schedule(first, greenroom.url, "Tabs");
  const lobby = await link(first, "Student");
  for (let i = 1; i < 10; i++) pages.push(await context.newPage());
  for (const page of pages.slice(1)) {
    await page.goto(address);
    await expect(page.getByRole("heading", { level: 1, name: "Tabs" })).toBeVisible({ timeout: 5_000 });
  }
  for (let i = 0; i < 10; i++) {
    const page = await context.newPage();
    await page.goto(`${lobby}&back=1`);
    await expect(page.getByRole("heading", { level: 1, name: "Tabs" })).toBeVisible({ timeout: 5_000 });
  }
  await first.getByRole("button", { name: "Extend by 15 min" }).click();
  for (const page of pages) await expect(page.getByText("The organiser changed the end.")).toBeVisible({ timeout: 5_000 });
});

test("an end and a replaced link reach an open lobby within three seconds", async ({ greenroom, people }) => {
  const organiser = await people("organiser");
  await organiser.goto(greenroom.url);
  await organiser.getByLabel("Title").fill("Far away");
  await organiser.getByLabel(/Teacher: Name/).fill("Teacher One");
  await organiser.getByLabel(/Student: Name/).fill("Student One");
  const start = new Date(Date.now() + 26 * 3_600_000).toISOString().slice(0, 16); // so early a lobby asks every half minute
  await organiser.locator("[name=starts_at]").fill(start);
  await organiser.getByRole("button", { name: "Schedule the meeting" }).click();
  await expect(organiser.getByRole("heading", { level: 1, name: "Far away" })).toBeVisible();
  const teacher = await people("teacher");
  const student = await people("student");
  await teacher.goto(await link(organiser, "Teacher"));
  await student.goto(await link(organiser, "Student"));
  for (const page of [teacher, student]) {
    await expect(page.getByText(/starts in/i)).toBeVisible();
    await page.waitForTimeout(1_500); // its socket is open and its first questions are answered
  }
  await organiser.locator("#key-student summary").click();
  await organiser.locator("#key-student button").click();
  await expect(student.getByRole("heading", { name: "This link is not valid" })).toBeVisible({ timeout: 3_000 });
  await organiser.getByText("Cancel the meeting").first().click();
  await organiser.getByRole("button", { name: "Cancel the meeting now" }).click();
  await expect(teacher.getByRole("heading", { name: "This meeting was cancelled" })).toBeVisible({ timeout: 3_000 });
});
