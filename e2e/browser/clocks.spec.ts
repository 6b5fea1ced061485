import { arrive, expect, link, schedule, test } from "./greenroom.ts";

const minute = 60_000;

// A computer whose clock is 52 minutes fast.
for (const [name, wrong] of [["52 minutes fast", 52 * minute], ["a day slow", -1440 * minute]] as const) {
  test(`on a computer that is ${name} every page counts by the server's time`, async ({ greenroom, people }) => {
    const organiser = await people("organiser");
    await organiser.clock.install({ time: Date.now() + wrong });
    const address = await schedule(organiser, greenroom.url, "Clocks");
    const id = new URL(address).pathname.split("/").at(-1)!;
    const patch = async (change: object) =>
      expect((await fetch(`${greenroom.url}/api/v1/meetings/${id}`, { method: "PATCH", headers: { "Content-Type": "application/json" }, body: JSON.stringify(change) })).status).toBe(200);
    await expect(organiser.locator("[data-relative]").first()).toHaveText(/started (now|a moment ago|\d+\u202fs ago)/);

    const student = await people("student");
    await student.clock.install({ time: Date.now() + wrong });
    await arrive(student, await link(organiser, "Student"));
    await student.waitForURL(/^https:\/\/i-/, { timeout: 60_000 });
    await expect(student.locator("#left")).toHaveText(/^(1 h 0|59) min left$/);

    // Who is there with seven minutes left is told of seven; after an extension the warnings come again.
    await patch({ ends_at: new Date(Date.now() + 7 * minute).toISOString() });
    await expect(student.locator("#notice")).toHaveText("The meeting ends in 7 minutes.");
    await patch({ ends_at: new Date(Date.now() + 9 * minute).toISOString() });
    await expect(student.locator("#notice")).toHaveText("The meeting ends in 9 minutes.");
    await patch({ ends_at: new Date(Date.now() + 30 * minute).toISOString() });
    await expect(student.locator("#left")).toHaveText("30 min left");
    await expect(student.locator("#notice")).toBeHidden();
    await student.reload();
    await expect(student.locator("#left")).toHaveText(/^(30|29) min left$/);
  });
}

test("the lobby's countdown is the server's, and right again after the clock was set", async ({ greenroom, people }) => {
  const organiser = await people("organiser");
  const starts = Date.now() + 30 * minute;
  const answer = await fetch(`${greenroom.url}/api/v1/meetings`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ title: "Countdown", starts_at: new Date(starts).toISOString() }),
  });
  const { id } = (await answer.json()) as { id: string };
  await organiser.goto(`${greenroom.url}/meetings/${id}`);
  const student = await people("student");
  await student.clock.install({ time: Date.now() + 52 * minute });
  await student.goto(await link(organiser, "Student"));
  await expect(student.locator("[data-countdown]")).toHaveText(/^(29|30):\d\d$/);
  await student.clock.setSystemTime(Date.now() - 3 * 60 * minute);
  await expect(student.locator("[data-countdown]")).toHaveText(/^(29|30):\d\d$/, { timeout: 8_000 });
});
