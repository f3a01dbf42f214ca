// Keyboard shortcuts, double clicks, and the link of the download form.

import { createElement, useEffect, useState } from "react";
import { downloadQuery } from "./format.js";

// "/" and "n" focus the field for the name of a new batch. They can be switched off, because speech
// input may trigger shortcuts of a single key (WCAG 2.1.4).
const SETTING = "solo-keys";
const isOff = () => localStorage.getItem(SETTING) === "off";

export function ShortcutsSwitch({ children }) {
  const [checked, setChecked] = useState(true);
  useEffect(() => setChecked(!isOff()), []);
  const onChange = ({ target }) => {
    localStorage.setItem(SETTING, target.checked ? "on" : "off");
    setChecked(target.checked);
  };
  const box = createElement("input", { type: "checkbox", checked, onChange });
  return createElement("label", { className: "keys" }, box, children);
}

function focusNameField(event) {
  const field = document.querySelector("form.start-form input");
  const isTyping = event.target.closest?.("input, textarea, select, [contenteditable]");
  const hasModifier = event.ctrlKey || event.metaKey || event.altKey;
  if (!["/", "n"].includes(event.key) || !field || isTyping || hasModifier || isOff()) return;
  event.preventDefault();
  field.focus();
}

// Ignores the second click of a double click: after the first, another button may be in its place.
function ignoreSecondClick(event) {
  if (event.detail > 1 && event.target.closest?.("button:not(.repeatable), a[download]")) {
    event.stopPropagation();
    event.preventDefault();
  }
}

// Sets the query of the download link, or reports that the range is invalid.
export function prepareDownload(event) {
  const form = event.currentTarget.closest("form");
  const fields = Object.fromEntries(new FormData(form));
  const isEmpty = new Date(fields.from) >= new Date(fields.to);
  form.elements.to.setCustomValidity(isEmpty ? form.dataset.error : "");
  if (fields.minutes < 0 && !form.reportValidity()) event.preventDefault();
  else event.currentTarget.search = downloadQuery(fields, form.dataset.ended ?? Date.now() * 1000);
}

if (typeof document !== "undefined") {
  document.addEventListener("keydown", focusNameField);
  document.addEventListener("click", ignoreSecondClick, true);
}
