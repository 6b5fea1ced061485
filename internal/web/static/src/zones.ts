// The time zones there are, under today's names: the server's own list, because browsers name some of them as nobody does now.
import list from "../../../timezone/zones.txt";

const today = new Map<string, string>(); // from every name to today's
const names: string[] = [];
for (const line of list.trim().split("\n")) {
  const [name, ...legacy] = line.split(" ") as [string, ...string[]];
  names.push(name);
  for (const one of [name, ...legacy]) today.set(one, name);
}

/** Every zone, in the order of the alphabet. */
export const zones: readonly string[] = names;

/** The reader's own zone. */
export function zoneName(): string {
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  return today.get(name) ?? name;
}
