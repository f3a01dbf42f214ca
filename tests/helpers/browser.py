"""The installed browser, for tests and screenshots."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

DESKTOP: ViewportSize = {"width": 1280, "height": 900}

BROWSER_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_HEADLESS_SHELL = "chromium-headless-shell"
"""Uses half of the CPU time, but has no back/forward cache."""

_BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")


def find_browser() -> str | None:
    """Return the path of a Chromium or Chrome. The variable CHROMIUM takes precedence."""
    named = [os.environ["CHROMIUM"]] if os.environ.get("CHROMIUM") else []
    return next(filter(None, map(shutil.which, [*named, _HEADLESS_SHELL, *_BROWSERS])), None)


def find_full_browser() -> str | None:
    """Return the path of a Chromium or Chrome that is not the headless shell."""
    return next(filter(None, map(shutil.which, _BROWSERS)), None)
