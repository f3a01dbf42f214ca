// How numbers and times are told, in the viewer's zone, and the small lines.
// Times come as microseconds since 1970-01-01 UTC, which a JavaScript number holds exactly.

const DASH = "–";
export const THIN = "\u202f";

const format = (options) => new Intl.DateTimeFormat("en-GB", options);
export const CLOCK = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const TIME = format({ hour: "2-digit", minute: "2-digit" });
export const DAY = format({ day: "numeric", month: "short" });
const DAY_OF_YEAR = format({ day: "numeric", month: "short", year: "numeric" });

export const date = (us) => new Date(us / 1000);
export const isNone = (value) => value === null || value === undefined;

// The function, remembering its last answer: pages ask again and again for the same.
export function lately(compute) {
  let asked = [];
  let answer;
  return (...args) => {
    if (asked.length !== args.length || args.some((arg, i) => arg !== asked[i])) {
      answer = compute(...args);
      asked = args;
    }
    return answer;
  };
}

// Making one takes far longer than using it.
const NUMBERS = [0, 1, 2].map(
  (digits) =>
    new Intl.NumberFormat("en-US", {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    }),
);

export function number(value, digits = 0) {
  return isNone(value) ? DASH : NUMBERS[digits].format(value).replaceAll(",", THIN);
}

// As short as it can be told: whole numbers whole, others with six digits that count.
export function key(value) {
  if (isNone(value)) return DASH;
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return number(value);
  return String(Number(value.toPrecision(6))).replace("-", "\u2212");
}

export const tick = (value) =>
  Math.abs(value) >= 10000
    ? value.toLocaleString("en-US", { notation: "compact", maximumFractionDigits: 1 })
    : key(value);

export const rate = (value) => number(value, value < 1000 ? 1 : 0);

export function span(seconds) {
  const s = Math.floor(seconds);
  const parts = [
    [Math.floor(s / 86400), "d"],
    [Math.floor(s / 3600) % 24, "h"],
    [Math.floor(s / 60) % 60, "min"],
    [s % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0 || (s < 10 && s !== seconds)) {
    return `${Number(Number(seconds).toPrecision(2))}${THIN}s`;
  }
  const shown = parts.slice(first, first + 2);
  return shown.map(([count, unit]) => `${count}${THIN}${unit}`).join(" ");
}

export const clock = (us) => (isNone(us) ? DASH : CLOCK.format(date(us)));

export const clockMs = (us) =>
  isNone(us)
    ? DASH
    : `${CLOCK.format(date(us))}.${String(Math.floor(us / 1000) % 1000).padStart(3, "0")}`;

export function when(us) {
  if (isNone(us)) return DASH;
  const then = date(us);
  const now = new Date();
  const time = TIME.format(then);
  if (then.toDateString() === now.toDateString()) return time;
  const day = then.getFullYear() === now.getFullYear() ? DAY : DAY_OF_YEAR;
  return `${day.format(then)}, ${time}`;
}

export const iso = (us) => (isNone(us) ? "" : date(us).toISOString());

export const utc = (us) => iso(us).replace("T", " ").replace("Z", " UTC");

// The path of a line through the numbers, in a box of 100 by 32, from the lowest (or from
// ``floor``) to the highest. Where there is no number the line is broken; a number alone is a dash.
export function spark(keys, floor = null) {
  const known = keys?.filter((value) => !isNone(value)) ?? [];
  if (known.length < 1 || keys.length < 2) return "";
  const low = Math.min(...known, floor ?? Infinity);
  const height = Math.max(...known) - low;
  const flat = isNone(floor) ? 16 : 31;
  const step = 100 / (keys.length - 1);
  const y = (value) => (height ? 31 - ((value - low) / height) * 30 : flat).toFixed(1);
  const at = (value, i) => {
    if (isNone(value)) return "";
    const x = i * step;
    if (!isNone(keys[i - 1])) return `L${x.toFixed(1)} ${y(value)}`;
    if (!isNone(keys[i + 1])) return `M${x.toFixed(1)} ${y(value)}`;
    return `M${Math.max(0, x - step / 2).toFixed(1)} ${y(value)}h${step.toFixed(1)}`;
  };
  return keys.map(at).join("");
}
