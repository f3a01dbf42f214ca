// Keyboard shortcuts, double clicks, and forms.

import { downloadQuery } from "./format.js";

// Shortcuts can be disabled, because speech input may trigger single-key shortcuts (WCAG 2.1.4).
const SETTING = "solo-shortcuts";
const isEnabled = () => localStorage.getItem(SETTING) !== "off";
const showHints = () => document.documentElement.toggleAttribute("data-shortcuts", isEnabled());

export const showDialog = ({ currentTarget }) =>
  document.getElementById(currentTarget.getAttribute("aria-controls")).showModal();

export const closeDialog = ({ target }) => target.closest("dialog").close();

const findTarget = (key) => document.querySelector(`[aria-keyshortcuts="${CSS.escape(key)}"]`);

// Opens the dialog, which lists the shortcuts of the page.
export function showShortcuts() {
  const dialog = document.getElementById("shortcuts");
  for (const key of dialog.querySelectorAll("dt")) {
    key.hidden = key.nextElementSibling.hidden = !findTarget(key.textContent);
  }
  dialog.querySelector("input").checked = isEnabled();
  dialog.showModal();
}

export function enableShortcuts({ target }) {
  localStorage.setItem(SETTING, target.checked ? "on" : "off");
  showHints();
}

// Clicks the button, or focuses the field, that has the pressed key in its `aria-keyshortcuts`.
function handleShortcut(event) {
  const isTyping = event.target.closest?.("input, textarea, select, [contenteditable]");
  const hasModifier = event.ctrlKey || event.metaKey || event.altKey;
  if (isTyping || hasModifier || !isEnabled()) return;
  const target = findTarget(event.key);
  if (!target) return;
  event.preventDefault();
  if (target.matches("button")) target.click();
  else target.focus();
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
  showHints();
  document.addEventListener("keydown", handleShortcut);
  document.addEventListener("click", ignoreSecondClick, true);
}
