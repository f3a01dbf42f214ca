// Components with a state that only the browser needs.

import { createElement, useState } from "react";

const COPIED_MS = 2000;

// Copies `value`, and shows for a moment that it has.
export function CopyButton({ value, label, copiedLabel }) {
  const [isCopied, setCopied] = useState(false);
  const onClick = async () => {
    await navigator.clipboard.writeText(value);
    setCopied(true);
    setTimeout(() => setCopied(false), COPIED_MS);
  };
  const props = { type: "button", className: "button small repeatable", "aria-live": "polite" };
  return createElement("button", { ...props, onClick }, isCopied ? copiedLabel : label);
}
