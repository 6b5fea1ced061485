// The form that schedules a meeting: the browser's own zone, every zone there is, and the seats of the chosen kind of desktop.
import { onContent } from "./region.ts";
import { zoneName, zones as all } from "./zones.ts";

export function scheduleForm(): void {
  const form = document.querySelector<HTMLFormElement>("form[data-schedule]");
  if (!form) return;
  if ("fresh" in form.dataset) {
    const zones = form.querySelector<HTMLSelectElement>("[data-zones]")!;
    choose(zones, zoneName());
    form.querySelector<HTMLInputElement>("[name=starts_at]")!.value = nextHalfHour(Number(form.dataset["fresh"]));
    document.addEventListener("htmx:after:process", () => zones.dispatchEvent(new Event("change", { bubbles: true })), { once: true });
  }
  const kind = form.querySelector<HTMLSelectElement>("[data-blueprint]");
  const show = () => {
    for (const seats of form.querySelectorAll<HTMLFieldSetElement>("[data-seats]")) {
      seats.hidden = seats.disabled = seats.dataset["seats"] !== kind!.value;
    }
  };
  if (kind) {
    kind.addEventListener("change", show);
    show();
  }
  addRows(form);
  form.addEventListener("submit", (event) => {
    if ((event.submitter as HTMLButtonElement | null)?.name === "preview") return;
    const button = form.querySelector<HTMLButtonElement>("button.primary")!;
    button.setAttribute("aria-busy", "true");
    button.textContent = "Scheduling …";
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload(); // back from the meeting: a fresh form, with a fresh key
  });
}

/** Gives each role a button for one row more. */
function addRows(form: HTMLFormElement): void {
  for (const button of form.querySelectorAll<HTMLButtonElement>("[data-add-row]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const role = button.parentElement!;
      const rows = role.querySelectorAll<HTMLElement>(".seat-row");
      const title = `${role.dataset["role"]} ${rows.length + 1}`;
      const row = rows[rows.length - 1]!.cloneNode(true) as HTMLElement;
      row.querySelectorAll(".fault").forEach((fault) => fault.remove());
      row.querySelector(".seat-role")!.textContent = title;
      for (const label of row.querySelectorAll("label")) {
        const input = label.parentElement!.querySelector("input")!;
        label.querySelector(".unseen")!.textContent = `${title}: `;
        label.htmlFor = input.id = input.name.replace(/\.(name|email)$/, `.${rows.length + 1}.$1`);
        input.removeAttribute("aria-invalid");
        input.removeAttribute("aria-describedby");
        input.value = "";
      }
      button.before(row);
      row.querySelector("input")!.focus();
    });
  }
}

/** Fills every list of zones, and adds the reader's own time to what the server says a time means. */
export function whenFields(): void {
  document.querySelectorAll<HTMLSelectElement>("[data-zones]").forEach(fill);
  onContent(() => {
    for (const el of document.querySelectorAll<HTMLElement>("[data-own-instant]")) {
      el.textContent = zoneName() === "UTC" ? "" : `, ${show(new Date(el.dataset["ownInstant"]!))} for you`;
    }
  });
}

function show(at: Date): string {
  return new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(at);
}

function fill(zones: HTMLSelectElement): void {
  const known = new Set(Array.from(zones.options, (o) => o.value));
  for (const option of zones.options) {
    option.value = option.value; // stays the name when the label is another text
    option.textContent = alone(option.value);
  }
  const groups = new Map<string, HTMLOptGroupElement>();
  for (const name of [zoneName(), ...all]) {
    if (known.has(name)) continue;
    known.add(name);
    const [area, ...rest] = name.split("/");
    const option = new Option(name === zoneName() ? alone(name) : city(rest.length === 0 ? [area!] : rest), name);
    if (rest.length === 0 || name === zoneName()) {
      zones.append(option);
      continue;
    }
    let group = groups.get(area!);
    if (!group) {
      group = document.createElement("optgroup");
      group.label = area!;
      groups.set(area!, group);
    }
    group.append(option);
  }
  zones.append(...groups.values());
}

/** What people type to find it: browsers look for the start of the label. */
function city(parts: string[]): string {
  return parts.map((p) => p.replaceAll("_", " ")).reverse().join(", ");
}

/** A zone that stands outside its group. */
function alone(name: string): string {
  const [area, ...rest] = name.split("/");
  return rest.length === 0 ? name : `${city(rest)} (${area})`;
}

function choose(zones: HTMLSelectElement, name: string): void {
  if (!Array.from(zones.options).some((o) => o.value === name)) zones.prepend(new Option(alone(name), name));
  zones.value = name;
}

/** The next half hour on this computer's clock that is so many milliseconds ahead, as a datetime-local field writes it. */
function nextHalfHour(ahead: number): string {
  const zone = new Date().getTimezoneOffset() * 60_000; // not always whole hours
  const at = new Date(Math.ceil((Date.now() + ahead - zone) / 1_800_000) * 1_800_000 + zone);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}
