import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { arrive, colours, expect, link, schedule, test, until } from "./greenroom.ts";

test.use({ access: "gateway" });

test("through the gateway to the desktop and out again", async ({ greenroom, people }) => {
  const organiser = await people("organiser");
  const teacher = await people("teacher");
  const student = await people("student");
  const complaints: string[] = [];
  for (const page of [teacher, student]) {
    page.on("console", (m) => m.type() === "error" && complaints.push(m.text()));
    page.on("pageerror", (e) => complaints.push(String(e)));
  }
  await schedule(organiser, greenroom.url, "Algebra");
  await arrive(teacher, await link(organiser, "Teacher"));
  await arrive(student, await link(organiser, "Student"));
  for (const page of [teacher, student]) {
    await page.waitForURL(/^https:\/\/i-[0-9a-f]{17}\.desk\.localhost:/, { timeout: 60_000 });
    expect(page.url()).not.toContain("authToken");
    await until("a painted desktop", async () => (await colours(page)) > 2);
  }

  // What the teacher types arrives in the desktop's own shell, by way of the gateway, whose cookie he has.
  const instance = new URL(teacher.url()).hostname.split(".")[0]!;
  const typed = path.join(greenroom.data, "desktops", instance, "home", "typed");
  await teacher.locator("canvas").click(); // the terminal stands in the middle
  await until("the typed text", async () => {
    await teacher.keyboard.type("echo algebra > ~/typed\n", { delay: 15 });
    return existsSync(typed) && readFileSync(typed, "utf8") === "algebra\n";
  });
  expect((await teacher.context().cookies(teacher.url())).map((c) => c.name).sort()).toEqual(["__Host-greenroom", "__Host-greenroom-edge"]);
  await teacher.reload();
  await until("the desktop after a reload", async () => (await colours(teacher)) > 2);
  expect(complaints).toEqual([]);

  // One participant's browser cannot open the other's desktop.
  const home = new URL("/", student.url()).href; // with its fragment, going there again would ask the server nothing
  const refused = await teacher.goto(home);
  expect(refused?.status()).toBe(403);
  await expect(teacher.getByText("This desktop opens from the lobby")).toBeVisible();
  await teacher.goBack();
  await until("the desktop again", async () => (await colours(teacher)) > 2);

  // The organiser ends it; the page says so, and later its address does.
  await organiser.getByText("End the meeting").click();
  await organiser.getByRole("button", { name: "End now" }).click();
  await expect(teacher.getByText(/organiser has ended this meeting|ended by the organiser/i).first()).toBeVisible({ timeout: 40_000 });
  await until("the desktop's address to be nobody's", async () => (await student.goto(home))?.status() === 404);
  await expect(student.getByText("This desktop is gone")).toBeVisible();
});
