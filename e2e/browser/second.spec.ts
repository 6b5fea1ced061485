import { arrive, colours, expect, link, schedule, test, until } from "./greenroom.ts";

test("a second browser asks, takes over or watches, and the organiser disconnects one", async ({ greenroom, people }) => {
  const organiser = await people("organiser");
  const first = await people("first");
  const second = await people("second");
  await schedule(organiser, greenroom.url, "Two browsers");
  const address = await link(organiser, "Student");
  await arrive(first, address);
  await first.waitForURL(/^https:\/\/i-/, { timeout: 60_000 });
  await until("a painted desktop", async () => (await colours(first)) > 2);

  // The newcomer is asked; the first one notices nothing. The dialog is used by the keyboard.
  await arrive(second, address);
  await second.waitForURL(/^https:\/\/i-/, { timeout: 60_000 });
  await expect(second.getByRole("heading", { name: "This desktop is open elsewhere" })).toBeVisible();
  await expect(second.getByText("127.0.0.1")).toBeVisible();
  await expect(second.getByRole("button", { name: "Take over" })).toBeFocused();
  await expect(first.locator("#overlay")).toBeHidden();

  // To watch is to see, and to leave the size alone.
  const size = await first.locator("canvas").evaluate((c: HTMLCanvasElement) => [c.width, c.height]);
  await second.setViewportSize({ width: 900, height: 500 });
  await second.keyboard.press("Tab");
  await expect(second.getByRole("button", { name: "Watch" })).toBeFocused();
  await second.keyboard.press("Enter");
  await until("the desktop that is watched", async () => (await colours(second)) > 2);
  await expect(second.getByText("You are watching")).toBeVisible();
  expect(await first.locator("canvas").evaluate((c: HTMLCanvasElement) => [c.width, c.height])).toEqual(size);
  await expect(organiser.getByText("2 browsers")).toBeVisible({ timeout: 10_000 });

  // Taken over, the first one is told, and does not fight.
  await second.locator("#own").click();
  await expect(first.getByRole("heading", { name: "Taken over by another browser" })).toBeVisible();
  await until("the screen in the new window's size", async () =>
    (await second.locator("canvas").evaluate((c: HTMLCanvasElement) => c.width)) === 900);
  await first.waitForTimeout(1500); // longer than a page waits before it connects again
  await expect(first.getByRole("heading", { name: "Taken over by another browser" })).toBeVisible();
  await expect(second.locator("#overlay")).toBeHidden();

  // A reload is not asked.
  await second.reload();
  await until("the desktop after a reload", async () => (await colours(second)) > 2);
  await expect(second.locator("#overlay")).toBeHidden();

  // The organiser disconnects it: it says so, and its cookie opens nothing.
  await organiser.locator(".browsers summary").first().click();
  await organiser.getByRole("button", { name: /^Disconnect/ }).first().click();
  await expect(second.getByText("The organiser disconnected this browser.")).toBeVisible({ timeout: 5_000 });
  await second.reload();
  await expect(second.getByText("This desktop opens from the lobby")).toBeVisible();

  // The first one takes the desktop back.
  await first.getByRole("button", { name: "Take over" }).click();
  await until("the desktop again", async () => (await colours(first)) > 2);
});
