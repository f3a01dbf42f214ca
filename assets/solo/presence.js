// Whether the server is there, and how old what one sees is; what runs, in the tab.

import { createElement, useEffect, useState } from "react";
import { CLOCK, span } from "./words.js";

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

export const heard = () => (heardAt = Date.now());
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
