// What is worked out in the browser; the pages know all of it by this file.

import { createElement, useEffect, useState } from "react";

export * from "./solo/download.js";
export * from "./solo/minutes.js";
export * from "./solo/presence.js";
export * from "./solo/ticks.js";
export * from "./solo/words.js";

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
