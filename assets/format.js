// Formatting of numbers, times and charts: pure functions, called through solo_app/ui/format.py.
// Times are microseconds since 1970-01-01 UTC, shown in the viewer's locale and time zone.

const DASH = "–";
const NBSP = "\u00a0";
// The invisible marks keep the order of a range whose ends are in a right-to-left script.
const TO = "\u200e – \u200e";
const MINUTE = 60e6;
const TICK_MINUTES = [5, 10, 15, 30, 60, 120, 180, 240, 360, 720];

// Formatters are reused: creating one takes much longer than formatting. They use the
// browser's locale, but a 24-hour clock: browsers do not expose which clock the viewer prefers.
const numberFormat = (options) => new Intl.NumberFormat(undefined, options);
const timeFormat = (options) => new Intl.DateTimeFormat(undefined, { hourCycle: "h23", ...options });

const FIXED = [0, 1, 2].map((digits) =>
  numberFormat({ minimumFractionDigits: digits, maximumFractionDigits: digits }),
);
const SIGNIFICANT = numberFormat({ maximumSignificantDigits: 6 });
const SCIENTIFIC = numberFormat({ maximumSignificantDigits: 6, notation: "scientific" });
const COMPACT = numberFormat({ maximumFractionDigits: 1, notation: "compact" });
const SECONDS = numberFormat({ maximumSignificantDigits: 2 });

const HOUR_MINUTE = { hour: "2-digit", minute: "2-digit" };
const DAY_MONTH = { day: "numeric", month: "short" };
const TIME = timeFormat({ ...HOUR_MINUTE, second: "2-digit" });
const TIME_MS = timeFormat({ ...HOUR_MINUTE, second: "2-digit", fractionalSecondDigits: 3 });
const SHORT_TIME = timeFormat(HOUR_MINUTE);
const DAY = timeFormat(DAY_MONTH);
const DAY_TIME = timeFormat({ ...DAY_MONTH, ...HOUR_MINUTE });
const DAY_SECONDS = timeFormat({ ...DAY_MONTH, ...HOUR_MINUTE, second: "2-digit" });
const YEAR_TIME = timeFormat({ ...DAY_MONTH, year: "numeric", ...HOUR_MINUTE });

const date = (us) => new Date(us / 1000);
const isNone = (value) => value === null || value === undefined;

export const number = (value, digits = 0) => (isNone(value) ? DASH : FIXED[digits].format(value));
export const rate = (value) => number(value, value < 1000 ? 1 : 0);

// Formats whole numbers in full, others with at most six significant digits.
export function value(value) {
  if (isNone(value)) return DASH;
  const size = Math.abs(value);
  if (size >= 1e15 || (size > 0 && size < 1e-6)) return SCIENTIFIC.format(value);
  return Number.isInteger(value) ? number(value) : SIGNIFICANT.format(value);
}

export const withUnit = (text, unit) => (unit && text !== DASH ? `${text}${NBSP}${unit}` : text);

export const valueRange = (low, high) => value(low) + TO + value(high);

// Formats a duration in its two largest units.
export function duration(seconds) {
  const s = Math.floor(seconds);
  const parts = [[s / 86400, "d"], [(s / 3600) % 24, "h"], [(s / 60) % 60, "min"], [s % 60, "s"]];
  const first = parts.findIndex(([count]) => count >= 1);
  if (first < 0 || (s < 10 && s !== seconds)) return `${SECONDS.format(seconds)}${NBSP}s`;
  const shown = parts.slice(first, first + 2).filter(([count]) => count >= 1);
  return shown.map(([count, unit]) => `${number(Math.floor(count))}${NBSP}${unit}`).join(" ");
}

export const time = (us) => (isNone(us) ? DASH : TIME.format(date(us)));
export const milliseconds = (us) => `.${date(us).toISOString().slice(20, 23)}`;
export const timeMs = (us) => (isNone(us) ? DASH : TIME_MS.format(date(us)));

const isSameDay = (at, other) => at.toDateString() === other.toDateString();

// Formats a time as hours and minutes, with the day unless it is today.
export function dateTime(us) {
  if (isNone(us)) return DASH;
  const [at, now] = [date(us), new Date()];
  if (isSameDay(at, now)) return SHORT_TIME.format(at);
  return (at.getFullYear() === now.getFullYear() ? DAY_TIME : YEAR_TIME).format(at);
}

// Formats a time with seconds, and with the day unless it is today.
export const logTime = (us) => (isSameDay(date(us), new Date()) ? TIME : DAY_SECONDS).format(date(us));

export function timeRange(start, end) {
  if (isNone(start) || isNone(end)) return DASH;
  const isOneDay = isSameDay(date(start), date(end));
  return dateTime(start) + TO + (isOneDay ? SHORT_TIME.format(date(end)) : dateTime(end));
}

export const iso = (us) => (isNone(us) ? "" : date(us).toISOString());
export const utc = (us) => iso(us).replace("T", " ").replace("Z", " UTC");

export const logText = (lines) =>
  lines.map(({ t, level, text }) => `${utc(t)} ${level} ${text}`).join("\n");

// Returns `url`, or the origin of the page if it is empty.
export const origin = (url) => url || globalThis.location?.origin || "";

// Returns the SVG path of a sparkline in a box of 100 by 32, scaled from the lowest value (or
// `floor`) to the highest. Null breaks the line; a value between two nulls is a short dash.
export function sparkline(values, floor = null) {
  const known = values?.filter((value) => !isNone(value)) ?? [];
  if (known.length < 1 || values.length < 2) return "";
  // Halved, because the difference of two values can be infinite.
  const low = Math.min(...known, floor ?? Infinity) / 2;
  const height = Math.max(...known) / 2 - low;
  const flat = isNone(floor) ? 16 : 31;
  const step = 100 / (values.length - 1);
  const y = (value) => (height ? 31 - ((value / 2 - low) / height) * 30 : flat).toFixed(1);
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

export const valueTick = (tick) => (Math.abs(tick) >= 10000 ? COMPACT.format(tick) : value(tick));

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
  const at = date(us);
  return (at.getHours() || at.getMinutes() ? SHORT_TIME : DAY).format(at);
}

// Tooltips: labels, from the time at the pointer and the items drawn there, and values.

export function pointLabel(_, items) {
  const us = items?.[0]?.payload.t;
  return `${timeMs(us)}\n${utc(us)}`;
}

export function minuteLabel(us, items) {
  const minute = Math.floor(us / MINUTE) * MINUTE;
  return `${dateTime(minute)}${items?.length ? "" : " · No data"}\n${utc(minute).slice(0, 16)} UTC`;
}

export function tooltipValue(shown, _, item) {
  if (Array.isArray(shown)) return valueRange(...shown);
  return item.dataKey === "average" ? number(shown, 2) : value(shown);
}

// Returns the query of a download from the fields of its form. Relative ranges end at `end`. Times
// in the fields are in the viewer's time zone; an empty field means no limit.
export function downloadQuery({ format, minutes, from, to }, end) {
  const query = new URLSearchParams({ format });
  if (minutes > 0) query.set("from", iso(end - minutes * MINUTE));
  if (minutes < 0 && from) query.set("from", new Date(from).toISOString());
  if (minutes < 0 && to) query.set("to", new Date(to).toISOString());
  return String(query);
}
