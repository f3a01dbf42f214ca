// What the ticks have told of the batches, put together and looked up.

import { useEffect } from "react";
import { heard } from "./presence.js";
import { THIN, clockMs, isNone, key, lately, number, spark, utc } from "./words.js";

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

// The batch that is looked at, as its ticks have told of it; points are lists of time, key and seq.
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
  // Where there is a gap among them, `whole` lists the seqs; else they are the last ones.
  const seqOf = (i) => whole[i] ?? last - times.length + 1 + i;
  const items = pairs(at, times, keys).map(([t, key], i) => [t, key, seqOf(i)]);
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
  const { items } = batch(id, tick).points;
  held = items.map(([t, key, seq]) => [seq, t, key]).reverse();
  return held;
}

// All batches that run, as the ticks of the first page have told of them.
// A batch may have any name: no plain object, which knows some names by itself.
let all = { counts: NONE, trends: new Map() };

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
    trend(all.trends.get(id) ?? told, Math.floor(at / 60e3), news[i], first),
  ]);
  all = {
    rows,
    rate,
    counts: joined(all.counts, second, counts, counts.length === 60, 60),
    trends: new Map(trends),
  };
  return all;
});

export const allRows = (slots, tick) => overview(slots, tick).rows;

export const allRates = (slots, tick) => overview(slots, tick).rate;

export const throughput = (slots, tick) => spark(overview(slots, tick).counts.items, 0);

const trendOf = (slots, tick, id) => overview(slots, tick).trends.get(id);

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
  return [counts, ...[...trends.values()].flatMap((t) => [t.points, t.minutes])].some((s) => s.missed);
};
