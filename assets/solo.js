// What is worked out in the browser: times in the viewer's zone, numbers, lines.
// Times come as microseconds since 1970-01-01 UTC, which a JavaScript number holds exactly.

import { useEffect, useState } from "react";

const DASH = "–";
const THIN = "\u202f";

const format = (options) => new Intl.DateTimeFormat("en-GB", options);
const CLOCK = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const TIME = format({ hour: "2-digit", minute: "2-digit" });
const DAY = format({ day: "numeric", month: "short" });
const DAY_OF_YEAR = format({ day: "numeric", month: "short", year: "numeric" });

const date = (us) => new Date(us / 1000);
const isNone = (value) => value === null || value === undefined;

// The function, remembering its last answer: pages ask again and again for the same.
function lately(compute) {
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

// The path of a line through the numbers, in a box of 100 by 32.
export function spark(keys) {
  if (keys.length < 2) return "";
  const low = Math.min(...keys);
  const height = Math.max(...keys) - low || 1;
  const x = 100 / (keys.length - 1);
  const at = (value, i) => `${(i * x).toFixed(1)} ${(31 - ((value - low) / height) * 30).toFixed(1)}`;
  return `M${keys.map(at).join("L")}`;
}

// The newest points of the newest run; of those before it while it has none.
export const series = lately((lastSeq, times, keys, runFirstSeq) => {
  const run = runFirstSeq - (lastSeq - times.length + 1);
  const from = run > 0 && run < times.length ? run : 0;
  return times.slice(from).map((t, i) => ({ t, key: keys[from + i] }));
});

export const end = (points, index) => points.at(index)?.t;

export function covered(points) {
  if (points.length < 2) return "";
  const seconds = (points.at(-1).t - points[0].t) / 1e6;
  const shown = seconds >= 1 && seconds < 100 ? `${seconds.toFixed(1)}${THIN}s` : span(seconds);
  return `${number(points.length)} points in ${shown}`;
}

export function newest(lastSeq, times, keys, count) {
  const last = times.length - 1;
  return Array.from({ length: Math.min(count, times.length) }, (_, i) => [
    lastSeq - i,
    times[last - i],
    keys[last - i],
  ]);
}

// Every minute of the window, also those without points.
export const hour = lately((minutes, from, to) => {
  const known = new Map(minutes.map((minute) => [minute[0], minute]));
  const shown = [];
  for (let t = from; t < to; t += 60e6) {
    const [, average, low, high] = known.get(t) ?? [t, null, null, null];
    shown.push({ t, average, range: average === null ? null : [low, high] });
  }
  return shown;
});

export const told = (value) =>
  Array.isArray(value) ? value.map(key).join(" to ") : key(value);

// What can wait is drawn once the rest of the page is there, and never holds it up.
export function Later({ children }) {
  const [isTime, setIsTime] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setIsTime(true));
    return () => clearTimeout(timer);
  }, []);
  return isTime ? children : null;
}

// The second click of a double click hits whatever the first one moved there: it does nothing.
if (typeof document !== "undefined") {
  document.addEventListener(
    "click",
    (click) => {
      if (click.detail > 1 && click.target.closest?.("button:not(.again)")) {
        click.stopPropagation();
        click.preventDefault();
      }
    },
    true,
  );
}
