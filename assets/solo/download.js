// Downloading. The file goes to the browser's keeping as it comes; the page only counts it.

import { getBackendURL } from "$/utils/state";
import { iso, number } from "./words.js";

const underWay = new WeakMap();
const weight = (bytes) =>
  bytes < 1e5 ? `${number(bytes / 1e3, 1)} kB` : `${number(bytes / 1e6, 1)} MB`;

// Where the focus goes on out of the page there is no `relatedTarget`, as where the whole window
// loses it: the key tells.
export const closeByKey = (press) => {
  const menu = press.currentTarget;
  if (!menu.open) return;
  if (press.key === "Tab") setTimeout(() => closeWhenLeft(menu, document.activeElement));
  if (press.key !== "Escape") return;
  menu.open = false;
  menu.querySelector("summary").focus();
};

export const closeOnLeaving = (leave) =>
  leave.relatedTarget && closeWhenLeft(leave.currentTarget, leave.relatedTarget);

function closeWhenLeft(menu, focused) {
  if (!menu.contains(focused)) menu.open = false;
}

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
    for (const field of menu.querySelectorAll("input[type=datetime-local]")) {
      // Half a time has no value either.
      if (!field.checkValidity()) throw refused(field.validationMessage);
      if (field.value) query.set(field.name, new Date(field.value).toISOString());
    }
  }
  return new URL(`/batches/${batch}/download?${query}`, getBackendURL());
}

const refused = (told) => Object.assign(new Error("refused"), { told });

async function saved(address, signal, tell, word) {
  const answer = await fetch(address, { signal });
  if (!answer.ok) {
    const { detail } = await answer.json();
    throw refused(detail);
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
