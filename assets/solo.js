// What is worked out in the browser: times in the viewer's zone, numbers, lines.
// Times come as microseconds since 1970-01-01 UTC, which a JavaScript number holds exactly.

import { createElement, useEffect, useState } from "react";
import { getBackendURL } from "$/utils/state";

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

// What ticks tell, put together. A tick brings the newest items of a sequence: all that are to
// be shown, or those that came since the tick before. Whoever missed one knows by the numbers.
// `last` is the number of the latest item; the sequence says `missed` when it must be told anew.
const NONE = { last: 0, items: [], missed: true };

function joined(known, last, items, whole, shown) {
  const before = last - items.length;
  if (whole) return { last, items, missed: false };
  if (known.missed || known.last < before) return { ...known, missed: true };
  const kept = known.items.slice(0, known.items.length - (known.last - before));
  return { last, items: [...kept, ...items].slice(-shown), missed: false };
}

// The line of the last minute: its vertices, pairs of time and key, cut into steps of time
// (`batches/trail.py`). It goes on with the points that came, or with `drawn`, which takes the
// place of what was known of the same steps and is all of the line when it comes `after` nothing.
const SPAN = 60e6;
const STEP = 250e3;

function lengthened(line, at, last, points, { after, vertices } = {}) {
  const goesOn = vertices ? after <= line.last : !line.missed && last - points.length <= line.last;
  if (after !== 0 && (line.missed || !goesOn)) return { ...line, missed: true };
  const news = vertices ?? points;
  const start = vertices && news.length ? Math.floor(news[0][0] / STEP) * STEP : news[0]?.[0];
  const kept = after === 0 ? [] : line.items.filter(([t]) => !(t >= start));
  return { last, items: inMinute([...kept, ...news], at), missed: false };
}

// What lies in the minute up to then, and the one before, from which the line comes in.
function inMinute(items, at) {
  const first = items.findIndex(([t]) => t > at - SPAN);
  return items.slice(Math.max(0, (first < 0 ? items.length : first) - 1));
}

// The batch that is looked at, as its ticks have told of it; points are pairs of time and key.
const NEWEST = 10;
let watched = { batch: null, points: NONE, line: NONE };

function pairs(at, times, keys) {
  let time = at;
  return times.map((step, i) => [(time += step), keys[i]]);
}

const batch = lately((id, [ms, rate, last, whole, times, keys, count, after, ...drawn]) => {
  heard();
  const at = ms * 1000;
  const known = watched.batch === id ? watched : { points: NONE, line: NONE };
  const items = pairs(at, times, keys);
  const told = isNone(after) ? {} : { after, vertices: pairs(at, ...drawn) };
  const points = joined(known.points, last, items, whole, NEWEST);
  const line = lengthened(known.line, at, last, items, told);
  watched = { batch: id, at, rate, last, points, count, line };
  return watched;
});

export const rowsOf = (id, tick) => batch(id, tick).last;

export const rateOf = (id, tick) => batch(id, tick).rate;

export const ranFor = (id, tick, started) => (batch(id, tick).at - started) / 1e6;

export const latestOf = (id, tick) => key(batch(id, tick).points.items.at(-1)?.[1]);

// Seconds until the minute is whole.
export const nextIn = (id, tick) => 60 - (Math.floor(batch(id, tick).at / 1e6) % 60);

const vertices = lately(({ items }) => items.map(([t, key]) => ({ t, key })));

export const series = (id, tick) => vertices(batch(id, tick).line);

export const minuteEnd = (id, tick) => batch(id, tick).at;

export const minuteStart = (id, tick) => batch(id, tick).at - SPAN;

export function covered(id, tick, isRunning) {
  const { count } = batch(id, tick);
  if (isNone(count)) return "";
  const points = count === 1 ? "point" : "points";
  return `${number(count)} ${points} in ${isRunning ? "the" : "its"} last 60${THIN}s`;
}

export function pointTime(_, items) {
  const t = items?.[0]?.payload.t;
  return `${clockMs(t)}\n${utc(t)}`;
}

// What is held still is what was shown last.
let held = null;

export function newest(id, tick, paused) {
  if (paused && held) return held;
  const { last, items } = batch(id, tick).points;
  held = items.map(([t, key], i) => [last - items.length + 1 + i, t, key]).reverse();
  return held;
}

// All batches that run, as the ticks of the first page have told of them.
let all = { counts: NONE, trends: {} };

function trend(known, minute, [last, keys, averages = [], whole = 0], firstSeq) {
  const points = joined(known.points, last, keys, whole, 40);
  const minutes = joined(known.minutes, minute, averages, averages.length === 60, 60);
  return { points, minutes, latest: last >= firstSeq ? points.items.at(-1) : null };
}

const overview = lately((slots, [at, rows, rate, second, counts, news]) => {
  const told = { points: NONE, minutes: NONE };
  heard();
  const taken = slots.filter(({ batch_id: id }) => id !== "");
  const trends = taken.map(({ batch_id: id, first_seq: first }, i) => [
    id,
    trend(all.trends[id] ?? told, Math.floor(at / 60e3), news[i], first),
  ]);
  all = {
    rows,
    rate,
    counts: joined(all.counts, second, counts, counts.length === 60, 60),
    trends: Object.fromEntries(trends),
  };
  return all;
});

export const allRows = (slots, tick) => overview(slots, tick).rows;

export const allRates = (slots, tick) => overview(slots, tick).rate;

export const throughput = (slots, tick) => spark(overview(slots, tick).counts.items, 0);

const trendOf = (slots, tick, id) => overview(slots, tick).trends[id];

export const latestIn = (slots, tick, id) => key(trendOf(slots, tick, id)?.latest);

export const rowsIn = (slots, tick, id, ended) =>
  number(ended ?? trendOf(slots, tick, id)?.points.last);

export const newestIn = (slots, tick, id) => spark(trendOf(slots, tick, id)?.points.items);

export const hourIn = (slots, tick, id) => spark(trendOf(slots, tick, id)?.minutes.items);

// Asks to be told anew when ticks were missed: the browser shows only the latest of several that
// come while it is busy.
export function CatchUp({ missed, onMissed }) {
  useEffect(() => {
    const asking = missed && setInterval(onMissed, 200);
    return () => clearInterval(asking);
  }, [missed]);
  return null;
}

export const missedOf = (id, tick) => {
  const { points, line } = batch(id, tick);
  return points.missed || line.missed;
};

export const missedIn = (slots, tick) => {
  const { counts, trends } = overview(slots, tick);
  return [counts, ...Object.values(trends).flatMap((t) => [t.points, t.minutes])].some((s) => s.missed);
};

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

// The icon in the tab: with a green dot while something runs, a red one after a failure.
const ICONS = { running: "/icon-running.svg", failed: "/icon-failed.svg" };

export function showIcon(status) {
  const link = typeof document === "undefined" ? null : document.querySelector("link[rel=icon]");
  const href = ICONS[status] ?? "/icon.svg";
  if (link && link.getAttribute("href") !== href) link.setAttribute("href", href);
  return "";
}

// How old what one sees is. While something runs a tick comes at least every second; whoever
// does not hear one is told so, also when the connection stands and the server does not.
const LATE = 3;
const SILENT = 10;
let heardAt = Date.now();
let isWaiting = true;

const heard = () => (heardAt = Date.now());
const age = () => (isWaiting ? (Date.now() - heardAt) / 1000 : 0);

// What a clock beside the page says, asked every half second.
function useClock(ask) {
  const [told, setTold] = useState(null);
  useEffect(() => {
    const look = () => setTold(ask());
    look();
    const looking = setInterval(look, 500);
    return () => clearInterval(looking);
  });
  return told;
}

// The sign in the bar: live, or how old what one sees is; `words` are for that, and for when
// there is no server or none yet.
export function Liveness({ away, ready, ticking, interval, words }) {
  const [live, connecting, none, old] = words;
  useEffect(() => {
    if (ticking || !ready) heard();
    isWaiting = ticking || !ready;
  }, [ticking, ready]);
  const seconds = useClock(() => Math.floor(age()));
  const late = ready && seconds >= LATE + 2 * interval;
  const kind = away || late ? "away" : ready ? "now" : "soon";
  const word = away ? none : late ? `${span(seconds)} ${old}` : ready ? live : connecting;
  const dot = createElement("i", { className: "dot" });
  return createElement("span", { className: `live ${kind}` }, dot, word);
}

// The banner while the server is away, or silent as if it were; `children` are the words before
// and after the time of what was heard last.
export function AwayBanner({ away, before, after }) {
  const [noticedAt, setNoticedAt] = useState(null);
  useEffect(() => setNoticedAt(away ? Date.now() : null), [away]);
  const isSilent = useClock(() => age() >= SILENT);
  const since = isWaiting && (away || isSilent) ? heardAt : noticedAt;
  if (!since) return null;
  const text = `${before}${CLOCK.format(since)}${after}`;
  return createElement("p", { className: "note away", role: "status" }, text);
}

// "/" and "n" lead to the field that names a new batch, from wherever nothing is being typed;
// unless somebody who speaks to the computer, say, has switched that off.
const KEYS = "solo-keys";
const keysAreOff = () => localStorage.getItem(KEYS) === "off";

export function KeysChoice({ children }) {
  const [isOff, setIsOff] = useState(false);
  useEffect(() => setIsOff(keysAreOff()), []);
  const choose = (change) => {
    localStorage.setItem(KEYS, change.target.checked ? "on" : "off");
    setIsOff(keysAreOff());
  };
  const box = createElement("input", { type: "checkbox", checked: !isOff, onChange: choose });
  return createElement("label", { className: "keys" }, box, children);
}

function toTheField(press) {
  if (keysAreOff()) return;
  const typing = press.target.closest?.("input, textarea, select, [contenteditable]");
  const field = document.querySelector("form.new input");
  if (!field || typing || press.ctrlKey || press.metaKey || press.altKey) return;
  if (press.key !== "/" && press.key !== "n") return;
  press.preventDefault();
  field.focus();
}

// Downloading. The file goes to the browser's keeping as it comes; the page only counts it.

const underWay = new WeakMap();
const weight = (bytes) =>
  bytes < 1e5 ? `${number(bytes / 1e3, 1)} kB` : `${number(bytes / 1e6, 1)} MB`;

export const closeOnEscape = (press) => {
  const menu = press.currentTarget;
  if (press.key !== "Escape" || !menu.open) return;
  menu.open = false;
  menu.querySelector("summary").focus();
};

export const closeOnLeaving = (leave) => {
  const menu = leave.currentTarget;
  if (leave.relatedTarget && !menu.contains(leave.relatedTarget)) menu.open = false;
};

export const cancelDownload = (click) => underWay.get(click.currentTarget.closest("details"))?.abort();

export async function download(click) {
  const menu = click.currentTarget.closest("details");
  const [progress, error] = menu.querySelectorAll("[role=status], [role=alert]");
  if (underWay.has(menu)) return;
  const cancel = new AbortController();
  underWay.set(menu, cancel);
  progress.textContent = error.textContent = "";
  const tell = (done) => (progress.textContent = done);
  const slow = setTimeout(() => swap(menu, true), 500);
  try {
    tell(await saved(fileAddress(menu), cancel.signal, tell, menu.dataset.saved));
  } catch (reason) {
    tell("");
    if (!cancel.signal.aborted) error.textContent = reason.told ?? menu.dataset.broken;
  }
  clearTimeout(slow);
  underWay.delete(menu);
  swap(menu, false);
}

// One button takes the other's place, and the focus if that had it.
function swap(menu, busy) {
  const [away, here] = busy ? [".main", ".cancel"] : [".cancel", ".main"];
  const focused = menu.querySelector(away) === document.activeElement;
  menu.toggleAttribute("data-busy", busy);
  if (focused) menu.querySelector(here).focus();
}

// The last minutes of a batch that ended are those before its end. Two times that somebody
// enters are of the viewer's zone; what is left empty is no limit.
function fileAddress(menu) {
  const { batch, ended } = menu.dataset;
  const query = new URLSearchParams({ format: menu.querySelector("input:checked").value });
  const minutes = Number(menu.querySelector("select").value);
  const end = ended ? Number(ended) : Date.now() * 1000;
  if (minutes > 0) query.set("from", iso(end - minutes * 60e6));
  if (minutes < 0) {
    for (const { name, value } of menu.querySelectorAll("input[type=datetime-local]")) {
      if (value) query.set(name, new Date(value).toISOString());
    }
  }
  return new URL(`/batches/${batch}/download?${query}`, getBackendURL());
}

async function saved(address, signal, tell, word) {
  const answer = await fetch(address, { signal });
  if (!answer.ok) {
    const { detail } = await answer.json();
    throw Object.assign(new Error("refused"), { told: detail });
  }
  const [, name] = answer.headers.get("Content-Disposition").match(/filename="(.+)"/);
  const length = Number(answer.headers.get("Content-Length"));
  const part = (size) => (length ? `${Math.floor((100 * size) / length)}%` : weight(size));
  let size = 0;
  const count = (piece, out) => {
    size += piece.length;
    out.enqueue(piece);
  };
  const counted = answer.body.pipeThrough(new TransformStream({ transform: count }));
  // Once a second, so that whoever listens to it is not talked over.
  const ticks = setInterval(() => tell(part(size)), 1000);
  try {
    save(await new Response(counted).blob(), name);
  } finally {
    clearInterval(ticks);
  }
  return `${word} ${name}, ${weight(size)}`;
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

if (typeof document !== "undefined") {
  document.addEventListener("pointerdown", (press) => {
    const menu = document.querySelector("details.download[open]");
    if (menu && !menu.contains(press.target)) menu.open = false;
  });
}

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
  document.addEventListener("keydown", toTheField);
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
