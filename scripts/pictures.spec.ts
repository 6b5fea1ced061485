// Makes the pictures of README.md from a meeting with real desktops.
import { mkdirSync } from "node:fs";
import path from "node:path";
import { arrive, colours, expect, link, test, until } from "../e2e/browser/greenroom.ts";

const images = path.resolve("docs/images");

test("pictures", async ({ greenroom, people }) => {
  mkdirSync(images, { recursive: true });
  const organiser = await people("organiser");
  const teacher = await people("teacher");
  await organiser.setViewportSize({ width: 1200, height: 1120 });
  await teacher.setViewportSize({ width: 1200, height: 990 });

  // It starts in a few minutes, so that the lobby counts down while the desktops start.
  const answer = await fetch(`${greenroom.url}/api/v1/meetings`, {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      title: "Algebra", starts_at: new Date(Date.now() + 8 * 60_000).toISOString(),
      seats: [{ role: "teacher", name: "Ada" }, { role: "student", name: "Sam" }],
    }),
  });
  expect(answer.status).toBe(201);
  const { id } = (await answer.json()) as { id: string };
  await organiser.goto(`${greenroom.url}/meetings/${id}`);

  // The warm-up hook of pictures.sh keeps the desktops at the last stage for a while.
  await arrive(teacher, await link(organiser, "Teacher"));
  await expect(teacher.locator(".stages .current")).toContainText(/check/i);
  await expect(teacher.locator("#checks li").first()).not.toContainText("Looking");
  await teacher.screenshot({ path: path.join(images, "lobby.png") });

  await teacher.waitForURL(/^https:\/\/i-[0-9a-f]{17}\.desk\.localhost:/, { timeout: 120_000 });
  await until("a painted desktop", async () => (await colours(teacher)) > 2);
  await teacher.setViewportSize({ width: 1200, height: 750 });
  await teacher.waitForTimeout(2_000); // for the desktop to take the new size
  await teacher.locator("canvas").click();
  // A larger terminal, with the prompt of a person.
  for (const line of ["exec xterm -fa Monospace -fs 15 -T Algebra -geometry 70x20-150+90 -e env PS1='ada$ ' sh", "cat lesson.txt"]) {
    await teacher.keyboard.type(`${line}\n`, { delay: 30 });
    await teacher.waitForTimeout(2_000); // for the window
  }
  await expect(organiser.locator("#seat-student")).toContainText(/ready/i);
  await expect(organiser.locator("#seat-teacher")).toContainText(/in use|connected/i);
  await teacher.screenshot({ path: path.join(images, "desktop.png") });
  await organiser.screenshot({ path: path.join(images, "organiser.png") });
});
