"""First start: a fresh checkout, from `reflex run` to the first page, packages cached.

In a full run the environment is fresh too, made by pip from `requirements.txt`; making it is not
part of the time. A quick run takes the environment that it runs in.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx

from bench.figures import Figure, under
from bench.places import folder
from bench.progress import say
from bench.scale import Scale
from tests.helpers.browser import BROWSER_ARGS, find_browser
from tests.helpers.running_app import PROJECT, REFLEX, RunningApp, copy_project

_GIVE_UP_AFTER = 180
_LOOK_EVERY = 0.02


def measure(scale: Scale) -> list[Figure]:
    """Each round on a checkout of its own."""
    answered, drawn = [], []
    with folder() as place:
        reflex = scale.pick(REFLEX, None) or _fresh_environment(place / "venv")
        for number in range(1, scale.pick(1, 3) + 1):
            one, two = _round(place / str(number), reflex)
            answered.append(one)
            drawn += [two] if two else []
            say(f"first start, round {number}: {one:.1f} s to the first page")
    figures = [
        Figure("from `reflex run` to the first page", "s", answered, targets=(under(8, "s"),))
    ]
    if drawn:
        figures.append(
            Figure(
                "the same, to its drawn heading in a browser", "s", drawn, targets=(under(8, "s"),)
            )
        )
    return figures


def _fresh_environment(place: Path) -> Path:
    say("first start: a fresh environment, by pip")
    subprocess.run([sys.executable, "-m", "venv", place], check=True)  # noqa: S603
    requirements = PROJECT / "requirements.txt"
    subprocess.run(  # noqa: S603
        [place / "bin" / "pip", "install", "--quiet", "-r", requirements], check=True
    )
    return place / "bin" / "reflex"


def _round(place: Path, reflex: Path) -> tuple[float, float | None]:
    """Seconds until the page is answered, and until a browser has drawn it, if there is one."""
    checkout = copy_project(place / "solo")
    app = RunningApp(checkout, checkout / ".solo" / "solo.duckdb", "dev", reflex=reflex)
    began = time.perf_counter()
    try:
        app.launch()
        _wait_for(app)
        answered = time.perf_counter() - began
        return answered, _drawn(app.url, began)
    finally:
        app.stop()


def _wait_for(app: RunningApp) -> None:
    deadline = time.monotonic() + _GIVE_UP_AFTER
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if httpx.get(f"{app.url}/", timeout=30).status_code == 200:
                return
        time.sleep(_LOOK_EVERY)
    raise TimeoutError(app.output())


def _drawn(url: str, began: float) -> float | None:
    browser = find_browser()
    if browser is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=BROWSER_ARGS)
        page = chromium.new_page()
        page.goto(url)
        page.get_by_role("heading", level=1).wait_for(timeout=_GIVE_UP_AFTER * 1000)
        took = time.perf_counter() - began
        chromium.close()
    return took
