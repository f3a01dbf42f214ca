// The chart by minute: steps, gaps, round times, and the table below it.

import { createElement, useState } from "react";
import { DAY, TIME, date, iso, key, lately, number, when } from "./words.js";

// The minutes, drawn. A chart of a day has more of them than pixels: those that follow each
// other come together to steps, whose average, lowest and highest are those of all their points.

const MINUTE = 60e6;
const MOST_STEPS = 480;
const LEAST_GAP = 2; // Pixels.
const ROOM_FOR_WORDS = 80; // Pixels.
const ROOM_FOR_TICK = 56; // Pixels.
const TICKS = [5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440]; // Minutes.

// How wide the chart is within its axes; ``y_axis`` and margins of ``minute_chart.py`` are 44.
const plotWidth = () => (document.querySelector(".minutes")?.clientWidth ?? 324) - 44;

export const byMinute = (minutes, start, end) => drawnMinutes(minutes, end - start, plotWidth());

const drawnMinutes = lately((minutes, span, width) => {
  const least = (LEAST_GAP / width) * span;
  const longest = Math.ceil(Math.max(span / MOST_STEPS, least) / MINUTE) * MINUTE;
  return withGaps(steps(minutes, longest), least);
});

// No step has a gap in it, unless gaps come thicker than steps: then it has one at its end.
function steps(minutes, longest) {
  const found = [];
  for (const [t, average, low, high, count] of minutes) {
    const last = found.at(-1);
    const follows = last?.to === t;
    if (last && t + MINUTE - last.from <= longest && (follows || last.isRagged)) {
      last.hasHole ||= !follows;
      last.to = t + MINUTE;
      last.sum += average * count;
      last.count += count;
      last.range = [Math.min(last.range[0], low), Math.max(last.range[1], high)];
    } else {
      const isRagged = last !== undefined && !follows;
      found.push({ from: t, to: t + MINUTE, sum: average * count, count, range: [low, high], isRagged });
    }
  }
  return found;
}

// Line and band end before a gap and begin after it, so that it is wide enough to be seen: what a
// narrow gap needs it takes from both its sides, but never more than two thirds of a side.
function withGaps(found, least) {
  const runs = unbroken(found);
  const cut = (i) => Math.max(0, (least - (runs[i + 1]?.from - runs[i]?.to)) / 2) || 0;
  return runs.flatMap(({ from, to, steps }, i) => {
    const [before, after] = [cut(i - 1), cut(i)];
    const share = Math.min(1, ((to - from) * 2) / 3 / (before + after || 1));
    const start = from + before * share;
    const stop = to - after * share;
    const points = steps.map((step) => ({
      t: Math.min(Math.max(step.from, start), stop - 1),
      average: step.sum / step.count,
      range: step.range,
      from: step.from,
      to: step.to,
    }));
    return [...points, { ...points.at(-1), t: stop - 1 }, { t: stop, average: null, range: null }];
  });
}

function unbroken(found) {
  const runs = [];
  let last = null;
  for (const step of found) {
    const follows = last && last.to === step.from && !last.hasHole;
    if (!follows) runs.push({ from: step.from, steps: [] });
    runs.at(-1).steps.push(step);
    runs.at(-1).to = step.to;
    last = step;
  }
  return runs;
}

// Where there are no points for so long that the chart has room to say so.
export const wideGaps = (minutes, start, end) => gapsWithRoom(minutes, start, end, plotWidth());

const gapsWithRoom = lately((minutes, start, end, width) => {
  const room = (ROOM_FOR_WORDS / width) * (end - start);
  const ends = [start, ...minutes.map(([t]) => t + MINUTE)];
  const begins = [...minutes.map(([t]) => t), end];
  return ends.map((from, i) => [from, begins[i]]).filter(([from, to]) => to - from > room);
});

// Round times of the viewer's day, as many as there is room for.
export const timeTicks = (start, end) => ticksWithRoom(start, end, plotWidth());

const ticksWithRoom = lately((start, end, width) => {
  const room = (ROOM_FOR_TICK / width) * (end - start);
  const step = TICKS.find((count) => count * MINUTE >= room) ?? TICKS.at(-1);
  const tick = date(start);
  tick.setHours(0, 0, 0, 0);
  const found = [];
  for (; tick * 1000 < end; tick.setMinutes(tick.getMinutes() + step)) {
    if (tick * 1000 > start) found.push(tick * 1000);
  }
  return found;
});

export const timeTick = (us) => {
  const time = TIME.format(date(us));
  return time === "00:00" ? DAY.format(date(us)) : time;
};

export function minuteTime(t, items) {
  const { from, to } = items?.[0]?.payload ?? { from: t, to: t };
  const until = to - from > MINUTE ? ` to ${TIME.format(date(to))}` : "";
  const nothing = items?.length ? "" : ": no points";
  return `${when(from)}${until}${nothing}\n${iso(from).slice(0, 16).replace("T", " ")} UTC`;
}

export function told(value, name) {
  if (Array.isArray(value)) return value.map(key).join(" to ");
  return name === "average" ? number(value, 2) : key(value);
}

// What opens below a line, drawn only while it is open.
export function Disclosure({ summary, className, children }) {
  const [isOpen, setIsOpen] = useState(false);
  const onToggle = (change) => setIsOpen(change.currentTarget.open);
  const line = createElement("summary", null, summary);
  return createElement("details", { className, onToggle }, line, isOpen ? children : null);
}
