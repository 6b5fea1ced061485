// Buttons that copy a link, and links that are selected with one click.
import { onContent } from "./region.ts";

export function copyButtons(): void {
  if (navigator.clipboard) onContent(() => document.querySelectorAll<HTMLElement>("[data-copy]").forEach((b) => (b.hidden = false)));
  document.addEventListener("click", (event) => {
    const target = event.target as HTMLElement;
    if (target.matches("[data-select]")) (target as HTMLInputElement).select();
    const button = target.closest<HTMLElement>("[data-copy]");
    if (button) void copy(button);
  });
}

async function copy(button: HTMLElement): Promise<void> {
  const field = document.getElementById(button.dataset["copy"]!) as HTMLInputElement;
  try {
    await navigator.clipboard.writeText(field.value);
    button.textContent = "Copied";
  } catch {
    field.select(); // not allowed to: the person's own copy key still is
    button.textContent = "Press Ctrl+C";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}
