// Components with a state that only the browser needs.

import { createElement, useRef, useState } from "react";

const COPIED_MS = 2000;

// Copies `value`, and confirms it for two seconds. Pages of insecure origins have no clipboard.
export function CopyButton({ value, label, copiedLabel }) {
  const [isCopied, setCopied] = useState(false);
  if (!globalThis.navigator?.clipboard) return null;
  const onClick = async () => {
    await navigator.clipboard.writeText(value);
    setCopied(true);
    setTimeout(() => setCopied(false), COPIED_MS);
  };
  const props = { type: "button", className: "button small repeatable", "aria-live": "polite" };
  return createElement("button", { ...props, onClick }, isCopied ? copiedLabel : label);
}

// The log is closed on phones, unless the batch has failed: then the log states the reason.
export const isLogOpen = (status) => status === "failed" || matchMedia("(width > 47.5em)").matches;

// Shows the log at its end, and keeps its position while it is scrolled up: then a button shows the
// number of new lines and scrolls to the end. The stylesheet reverses the direction of the box, so
// its scroll position 0 is the end.
export function LogBox({ lines, label, newLines: [one, many], children }) {
  const box = useRef(null);
  const [seen, setSeen] = useState(null);
  const last = lines.at(-1)?.number ?? 0;
  const onScroll = ({ target }) => setSeen(target.scrollTop > -1 ? null : (seen ?? last));
  const onClick = () => box.current.scrollTo({ top: 0 });
  const count = seen === null ? 0 : lines.filter(({ number }) => number > seen).length;
  const attributes = { role: "log", tabIndex: 0, "aria-label": label, "aria-live": "off" };
  const button = { type: "button", className: "button small repeatable", onClick };
  return createElement(
    "div",
    { className: "log-box" },
    createElement("div", { ...attributes, ref: box, onScroll }, children),
    count > 0 && createElement("button", button, (count === 1 ? one : many).replace("{count}", count)),
  );
}
