import { expect, link, schedule, test } from "./greenroom.ts";

test("the organiser's page says when it is stale, and is fresh again by itself", async ({ greenroom, people }) => {
  const organiser = await people("organiser");
  const address = await schedule(organiser, greenroom.url, "Stale");
  const stale = organiser.getByText("may be out of date");
  await expect(stale).toBeHidden();
  await organiser.context().setOffline(true);
  await expect(stale).toBeVisible({ timeout: 3_000 });
  await expect(stale.locator("time")).toHaveText(/^\d\d:\d\d$/);
  const id = new URL(address).pathname.split("/").at(-1)!;
  await fetch(`${greenroom.url}/api/v1/meetings/${id}`, { method: "PATCH", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ title: "Fresh" }) });
  await organiser.context().setOffline(false);
  await expect(stale).toBeHidden({ timeout: 5_000 });
  await expect(organiser.getByRole("heading", { level: 1, name: "Fresh" })).toBeVisible();
});

test("a form with faults puts the focus on their summary, and each leads to its field", async ({ greenroom, people }) => {
  const organiser = await people("organiser");
  await organiser.goto(greenroom.url);
  await organiser.getByLabel("Title").fill("\u202egebra");
  await organiser.getByText("Start now").click();
  await organiser.getByLabel(/Student: E-mail/).fill("foo@bar");
  await organiser.getByRole("button", { name: "Schedule the meeting" }).click();
  const summary = organiser.getByRole("alert");
  await expect(summary).toBeFocused();
  await expect(summary).toContainText("U+202E RIGHT-TO-LEFT OVERRIDE, at position 1");
  await summary.getByRole("link", { name: "Student’s e-mail" }).click();
  await expect(organiser.getByLabel(/Student: E-mail/)).toBeFocused();
  await expect(organiser.getByLabel(/Student: E-mail/)).toHaveValue("foo@bar");
});

test("somebody else's change in the meantime loses nothing that was typed", async ({ greenroom, people }) => {
  const organiser = await people("organiser");
  const address = await schedule(organiser, greenroom.url, "Algebra");
  await organiser.getByText("Edit the meeting").click();
  await organiser.locator("#edit-title").fill("Physics");
  const id = new URL(address).pathname.split("/").at(-1)!;
  await fetch(`${greenroom.url}/api/v1/meetings/${id}`, { method: "PATCH", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ title: "Geometry" }) });
  await expect(organiser.getByRole("heading", { level: 1, name: "Geometry" })).toBeVisible();
  await organiser.getByRole("button", { name: "Save" }).click();
  await expect(organiser.getByText("The title was “Algebra” and is now “Geometry”; you want “Physics”.")).toBeVisible();
  await expect(organiser.locator("#edit-title")).toHaveValue("Physics");
  await organiser.getByRole("button", { name: "Save" }).click();
  await expect(organiser.getByRole("heading", { level: 1, name: "Physics" })).toBeVisible();
});

test("the list of zones has today's names, and typing a city finds it", async ({ greenroom, people }) => {
  const organiser = await people("organiser", { timezoneId: "Asia/Calcutta" });
  await organiser.goto(greenroom.url);
  const zones = organiser.getByLabel("Time zone");
  await expect(zones).toHaveValue("Asia/Kolkata");
  for (const [typed, zone] of [["Kyiv", "Europe/Kyiv"], ["Kolk", "Asia/Kolkata"], ["Buenos", "America/Argentina/Buenos_Aires"], ["Yang", "Asia/Yangon"]] as const) {
    await zones.focus();
    await organiser.waitForTimeout(1_200); // a pause ends what was typed before
    await organiser.keyboard.type(typed);
    await expect(zones).toHaveValue(zone);
  }
});

test("long names stay inside a phone", async ({ greenroom, people }) => {
  const organiser = await people("organiser", { phone: true });
  const seats = [{ role: "teacher", name: "W".repeat(100) }, { role: "student", name: "שלום".repeat(25) }];
  const answer = await fetch(`${greenroom.url}/api/v1/meetings`, {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ title: "M".repeat(200), starts_at: new Date(Date.now() + 86_400_000).toISOString(), seats }),
  });
  const { id } = (await answer.json()) as { id: string };
  for (const address of ["/", "/meetings", `/meetings/${id}`]) {
    await organiser.goto(greenroom.url + address);
    expect(await organiser.evaluate(() => document.documentElement.scrollWidth), address).toBeLessThanOrEqual(390);
  }
  await organiser.goto(await link(organiser, "Teacher"));
  expect(await organiser.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
});
