// Formatting of numbers, times and charts: pure functions, called through solo_app/ui/format.py.
// Times are microseconds since 1970-01-01 UTC, shown in the viewer's time zone.

const DASH = "–";
const THIN = "\u202f";
const MINUTE = 60e6;
const TICK_MINUTES = [5, 10, 15, 30, 60, 120, 180, 240, 360, 720];

const timeFormat = (options) => new Intl.DateTimeFormat("en-GB", options);
const CLOCK = timeFormat({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const TIME = timeFormat({ hour: "2-digit", minute: "2-digit" });
const DAY = timeFormat({ day: "numeric", month: "short" });
const DAY_OF_YEAR = timeFormat({ day: "numeric", month: "short", year: "numeric" });

// Creating a formatter takes much longer than using it.
const NUMBERS = [0, 1, 2].map((digits) => {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat("en-US", options);
});

const date = (us) => new Date(us / 1000);
const isNone = (value) => value === null || value === undefined;

export const number = (value, digits = 0) =>
  isNone(value) ? DASH : NUMBERS[digits].format(value).replaceAll(",", THIN);

// Formats integers in full, other numbers with six significant digits.
export function key(value) {
  if (isNone(value)) return DASH;
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return number(value);
  return String(Number(value.toPrecision(6))).replace("-", "\u2212");
}

export const rate = (value) => number(value, value < 1000 ? 1 : 0);

// Formats a duration in its two largest units.
export function span(seconds) {
  const s = Math.floor(seconds);
  const sizes = [[s / 86400, "d"], [(s / 3600) % 24, "h"], [(s / 60) % 60, "min"], [s % 60, "s"]];
  const parts = sizes.map(([count, unit]) => [Math.floor(count), unit]);
  const first = parts.findIndex(([count]) => count > 0);
  const isShort = first < 0 || (s < 10 && s !== seconds);
  if (isShort) return `${Number(Number(seconds).toPrecision(2))}${THIN}s`;
  const shown = parts.slice(first, first + 2);
  return shown.map(([count, unit]) => `${count}${THIN}${unit}`).join(" ");
}

export const clock = (us) => (isNone(us) ? DASH : CLOCK.format(date(us)));

export const clockMs = (us) =>
  isNone(us) ? DASH : `${clock(us)}.${String(Math.floor(us / 1000) % 1000).padStart(3, "0")}`;

// Formats a time as hours and minutes, with the day unless it is today.
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

// Returns the SVG path of a sparkline in a box of 100 by 32, scaled from the lowest value (or
// `floor`) to the highest. Null breaks the line; a value between two nulls is a short dash.
export function spark(values, floor = null) {
  const known = values?.filter((value) => !isNone(value)) ?? [];
  if (known.length < 1 || values.length < 2) return "";
  const low = Math.min(...known, floor ?? Infinity);
  const height = Math.max(...known) - low;
  const flat = isNone(floor) ? 16 : 31;
  const step = 100 / (values.length - 1);
  const y = (value) => (height ? 31 - ((value - low) / height) * 30 : flat).toFixed(1);
  const segment = (value, i) => {
    if (isNone(value)) return "";
    const x = i * step;
    if (!isNone(values[i - 1])) return `L${x.toFixed(1)} ${y(value)}`;
    if (!isNone(values[i + 1])) return `M${x.toFixed(1)} ${y(value)}`;
    return `M${Math.max(0, x - step / 2).toFixed(1)} ${y(value)}h${step.toFixed(1)}`;
  };
  return values.map(segment).join("");
}

export function chartPoints(end, offsets, keys) {
  const endMs = Math.floor(end / 1000);
  return offsets.map((offset, i) => ({ t: (endMs + offset) * 1000, key: keys[i] }));
}

export const valueTick = (value) =>
  Math.abs(value) >= 10000
    ? value.toLocaleString("en-US", { notation: "compact", maximumFractionDigits: 1 })
    : key(value);

// Returns up to 12 round times in the viewer's time zone. The chart omits overlapping labels.
export function timeTicks(start, end) {
  const step = TICK_MINUTES.find((minutes) => (end - start) / minutes <= 12 * MINUTE) ?? 1440;
  const tick = date(start);
  tick.setHours(0, 0, 0, 0);
  const ticks = [];
  for (; tick * 1000 < end; tick.setMinutes(tick.getMinutes() + step)) {
    if (tick * 1000 > start) ticks.push(tick * 1000);
  }
  return ticks;
}

export function timeTick(us) {
  const time = TIME.format(date(us));
  return time === "00:00" ? DAY.format(date(us)) : time;
}

// Tooltips: labels, from the time at the pointer and the items drawn there, and values.

export function pointTime(_, items) {
  const us = items?.[0]?.payload.t;
  return `${clockMs(us)}\n${utc(us)}`;
}

export function minuteTime(us, items) {
  const minute = Math.floor(us / MINUTE) * MINUTE;
  return `${when(minute)}${items?.length ? "" : ": no points"}\n${utc(minute).slice(0, 16)} UTC`;
}

export function tooltipValue(value, name) {
  if (Array.isArray(value)) return value.map(key).join(" to ");
  return name === "average" ? number(value, 2) : key(value);
}

// Returns the query of a download from the fields of its form. `end` is the end of the last
// minutes. Times in the fields are in the viewer's time zone; an empty field means no limit.
export function downloadQuery({ format, minutes, from, to }, end) {
  const query = new URLSearchParams({ format });
  if (minutes > 0) query.set("from", iso(end - minutes * MINUTE));
  if (minutes < 0 && from) query.set("from", new Date(from).toISOString());
  if (minutes < 0 && to) query.set("to", new Date(to).toISOString());
  return String(query);
}
