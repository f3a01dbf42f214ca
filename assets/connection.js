// Whether the page is current: the sign in the bar and the banner.

import { createElement, useEffect, useRef, useState } from "react";
import { clock, span } from "./format.js";

// Seconds without a new server time after which the page counts as stale, and as disconnected.
const STALE_AFTER = 3;
const DISCONNECTED_AFTER = 10;

let currentAt = Date.now();
const age = () => (Date.now() - currentAt) / 1000;

// The value of a function, evaluated at each render and twice a second.
function usePolled(read) {
  const [value, setValue] = useState(null);
  useEffect(() => {
    setValue(read());
    const timer = setInterval(() => setValue(read()), 500);
    return () => clearInterval(timer);
  });
  return value;
}

// `serverTime` changes every second while the connection works. Pages without live data have none;
// they are current as long as they are connected.
export function Liveness({ away, ready, serverTime, interval, words }) {
  const [live, connecting, none, old] = words;
  const received = `${ready} ${serverTime}`;
  const last = useRef(received);
  const seconds = usePolled(() => {
    const isConnected = serverTime === undefined && ready && !away;
    if (isConnected || received !== last.current) currentAt = Date.now();
    last.current = received;
    return Math.floor(age());
  });
  const isStale = ready && seconds >= STALE_AFTER + 2 * interval;
  const kind = away || isStale ? "away" : ready ? "now" : "soon";
  const word = away ? none : isStale ? `${span(seconds)} ${old}` : ready ? live : connecting;
  const dot = createElement("i", { className: "dot" });
  return createElement("span", { className: `live ${kind}` }, dot, word);
}

// `before` and `after` enclose the time at which the page was current last.
export function AwayBanner({ away, before, after }) {
  const isSilent = usePolled(() => age() >= DISCONNECTED_AFTER);
  if (!away && !isSilent) return null;
  const props = { className: "note away", role: "status" };
  return createElement("p", props, before, clock(currentAt * 1000), after);
}

// Reflex closes the socket of the page when a navigation begins, and does not open it again when
// the page stays: after a download, an empty response, a mailto link. When the page goes, Reflex
// and the browser close the socket anyway.
if (typeof window !== "undefined") {
  window.addEventListener("beforeunload", (event) => event.stopImmediatePropagation(), true);
}
