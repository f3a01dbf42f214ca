// Shows whether the page is current: the indicator in the bar, and the banner.

import { createElement, useEffect, useRef, useState } from "react";
import { duration, time } from "./format.js";

// Seconds without a new server time after which the page counts as stale, and as disconnected.
const STALE_AFTER = 3;
const DISCONNECTED_AFTER = 10;

let currentAt = Date.now();
const age = () => (Date.now() - currentAt) / 1000;

// Returns the value of a function that is evaluated at each render and twice a second.
function usePolled(read) {
  const [value, setValue] = useState(null);
  useEffect(() => {
    setValue(read());
    const timer = setInterval(() => setValue(read()), 500);
    return () => clearInterval(timer);
  });
  return value;
}

// `serverTime` changes every second while the page is connected. Pages without live data have none:
// they are current while connected.
export function Connection({ isDisconnected, isReady, serverTime, interval, labels }) {
  const [live, connecting, offline, behind] = labels;
  const received = `${isReady} ${serverTime}`;
  const last = useRef(received);
  const seconds = usePolled(() => {
    const isConnected = serverTime === undefined && isReady && !isDisconnected;
    if (isConnected || received !== last.current) currentAt = Date.now();
    last.current = received;
    return Math.floor(age());
  });
  const isStale = isReady && seconds >= STALE_AFTER + 2 * interval;
  const kind = isDisconnected || isStale ? "offline" : isReady ? "current" : "connecting";
  const late = behind.replace("{duration}", duration(seconds));
  const label = isDisconnected ? offline : isStale ? late : isReady ? live : connecting;
  const dot = createElement("i", { className: "dot" });
  return createElement("span", { className: `connection ${kind}` }, dot, label);
}

// Shows `text` with the time at which the page was last current.
export function OfflineBanner({ isDisconnected, text }) {
  const isSilent = usePolled(() => age() >= DISCONNECTED_AFTER);
  if (!isDisconnected && !isSilent) return null;
  const props = { className: "banner offline", role: "status" };
  return createElement("p", props, text.replace("{time}", time(currentAt * 1000)));
}

// Reflex closes the socket of the page when a navigation begins, and does not reopen it if the page
// stays open: after a download, an empty response or a mailto link. This skips that handler. When
// the page is unloaded, Reflex and the browser close the socket anyway.
if (typeof window !== "undefined") {
  window.addEventListener("beforeunload", (event) => event.stopImmediatePropagation(), true);
}
