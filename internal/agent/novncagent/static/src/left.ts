// How much time is left, in words, and when to warn of it.

const minute = 60_000;
const marks = [1, 5, 10]; // minutes before the end

/** The warning that is due with so many milliseconds left, after one for mark; mark is Infinity before the first. */
export function warning(left: number, mark: number): { mark: number; text: string } | undefined {
  const next = marks.find((m) => left > 0 && left <= m * minute);
  if (next === undefined || next >= mark) return undefined;
  const minutes = Math.max(1, Math.round(left / minute)); // who comes with seven left is told of seven
  return { mark: next, text: minutes === 1 ? "The meeting ends in a minute." : `The meeting ends in ${minutes} minutes.` };
}

/** A span for the bar above the screen. */
export function words(left: number): string {
  if (Number.isNaN(left)) return "";
  if (left <= 0) return "time is up";
  if (left < minute) return `${Math.ceil(left / 1000)} s left`;
  const minutes = Math.ceil(left / minute);
  return minutes < 60 ? `${minutes} min left` : `${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
}
