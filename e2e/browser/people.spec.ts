// People are a list: rows are added in the form, a list is pasted, and on the meeting's page people are added, renamed and removed.
import { expect, test } from "./greenroom.ts";

const long = "Bartholomew".repeat(9) + "x";

test("rows, a pasted list, and changes on the meeting's page", async ({ greenroom, people }) => {
  const page = await people("organiser", { phone: true });
  await page.goto(greenroom.url);
  await page.getByLabel("Title").fill("A class");
  await page.getByLabel(/Student: Name/).fill("One");
  await page.getByRole("button", { name: "Add another Student" }).click();
  await expect(page.getByLabel("Student 2: Name")).toBeFocused();
  await page.getByLabel("Student 2: Name").fill(long);
  await page.getByText("Paste a list").click();
  await page.getByLabel("Names and addresses").fill("Grace Hopper <grace@example.com>\nAlan\talan@example.com\n");
  await page.getByRole("button", { name: "Check the list" }).click();
  await expect(page.getByText("2 people in the list")).toBeVisible();
  await expect(page.getByLabel("Student 2: Name")).toHaveValue(long);
  await page.getByRole("button", { name: "Schedule the meeting" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "A class" })).toBeVisible();
  await expect(page.locator(".seat")).toHaveCount(4); // nobody is the teacher
  await expect(page.getByRole("heading", { level: 3, name: "Grace Hopper" })).toBeVisible();
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);

  await page.getByText("Add people").click();
  await page.locator("#add-role").selectOption("teacher");
  await page.locator("#add-name").fill("Ada");
  await page.getByRole("button", { name: "Add to the meeting" }).click();
  await expect(page.locator("#seat-teacher h3")).toHaveText("Ada");

  await page.locator("#edit-student-1 summary").click();
  await page.locator("#name-student-1").fill("First");
  await page.locator("#edit-student-1").getByRole("button", { name: "Save" }).click();
  await expect(page.locator("#seat-student-1 h3")).toHaveText("First");

  await page.locator("#remove-student-2 summary").click();
  await page.getByRole("button", { name: "Remove it" }).click();
  await expect(page.locator("#seat-student-2")).toHaveCount(0);
  await expect(page.locator(".seat")).toHaveCount(4);
});
