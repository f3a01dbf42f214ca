"""Texts on the pages. The texts of errors are in ``solo_app.batches.errors``.

Functions accept vars, because the browser formats numbers and times.
"""

from __future__ import annotations

from typing import Any

PRODUCT = "SOLO"
DESCRIPTION = "A live console for background data batches."
HOME_LINK = "SOLO, all batches"
SKIP_LINK = "Skip to content"

LIVE = "live"
CONNECTING = "connecting…"
OFFLINE = "offline"
BEHIND = "{duration} behind"
CONNECTION_LOST = "Connection lost at {time}. Reconnecting; actions are disabled."
WRITES_FAILING = "Writes are failing: "
ARCHIVING_FAILING = "Archiving is failing: "
POINTS_UNREADABLE = "Some stored points can't be read: "
SERVER_ERROR = "Server error"
SERVER_ERROR_DETAIL = "Details are in the server log. Stored data is safe."

THEMES = {"system": "Theme: system", "light": "Theme: light", "dark": "Theme: dark"}

SHORTCUTS = "Keyboard shortcuts"
SHORTCUT_LIST = {"/": "Search batches", "n": "Name a new batch", "?": "Show keyboard shortcuts"}
ENABLE_SHORTCUTS = "Enable shortcuts"
CLOSE = "Close"

BATCHES = "Batches"
ROWS = "rows"
ROWS_PER_SECOND = "rows/s"
RUNNING = "running"
RUNNING_BATCHES = "Running batches"
START_A_BATCH = "Start a batch"

NEW_BATCH = "New batch"
NAME_EXAMPLE = "e.g. sensor-a"
NAME_HELP = "a–z, 0–9, . _ -"
SUGGESTION = "Suggestion: "
START = "Start"
OPEN = "Open"

ALL_BATCHES = "All batches"
SEARCH = "Search batches"
SEARCH_EXAMPLE = "Search"
STATUS_FILTER = "Status"
FILTERS = {
    "all": "All",
    "running": "Running",
    "ended": "Ended",
    "failed": "Failed",
    "interrupted": "Interrupted",
}
NO_BATCHES = "No batches yet"
NO_MATCHES = "No matches"
CLEAR_FILTERS = "Clear filters"
FIRST, PREVIOUS, NEXT, LAST = "First", "Previous", "Next", "Last"
PAGES = "Pages of the table"
COLUMNS = ("Batch", "Status", "Latest", "Avg, 1 min", "Last 60 min", "Rows", "Started")
ACTION = "Action"
AVERAGE_LABEL, STARTED_LABEL = "average ", "since "

STATUS = {
    "running": "Running",
    "stopped": "Stopped",
    "failed": "Failed",
    "interrupted": "Interrupted",
    "finished": "Finished",
}
STOP = "Stop"
START_AGAIN = "Start again"

LATEST_VALUE = "Latest value"
LATEST_POINTS = "Latest points"
POINT_COLUMNS = ("#", "Time", "Value")
WAITING_FOR_POINTS = "Waiting for the first point…"
NO_POINTS = "No points"
LIVE_CHART = "Values of the last 60 s"
VALUE = "value"
NOW = "now"
PAUSE, RESUME = "Pause", "Resume"

LAST_FULL_MINUTE = "Last full minute"
LAST_MINUTE_WITH_DATA = "Last minute with data"
AVERAGE, SUM, COUNT, MIN_MAX = "Average", "Sum", "Count", "Min – max"

PER_MINUTE = "Per minute"
PER_MINUTE_LEGEND = "Line: average. Band: min – max. Gaps mean no data."
MINUTE_CHART = "Average, minimum and maximum per minute"
CHART_AVERAGE, CHART_RANGE = "avg", "min – max"
NO_DATA = "No data"
RANGE = "Range"
RANGES = {15: "15 min", 60: "1 h", 360: "6 h", 1440: "24 h"}
"""The durations of the minute chart, in minutes."""
DEFAULT_RANGE = 60
SHOW_TABLE = "Show as table"
MINUTE = "Minute"

DOWNLOAD = "Download"
DOWNLOAD_FORMAT = "Format"
FILE_FORMATS = {"csv": "CSV", "parquet": "Parquet", "json": "JSON"}
DOWNLOAD_RANGES = {
    0: "All data",
    **{minutes: f"Last {label}" for minutes, label in RANGES.items()},
    -1: "Custom",
}
CUSTOM_RANGE = {"from": "From", "to": "To (exclusive)"}
EMPTY_RANGE = "The end must be after the start."

RUNS = "Runs"

INVALID_NAME = "Invalid batch name"
BATCH_NOT_FOUND = "Batch not found"
BATCH_NOT_FOUND_ADVICE = "Start it to see it here."
PAGE_NOT_FOUND = "Page not found"
PAGE_NOT_FOUND_ADVICE = "There is no page at this address."


def high_load(interval: Any) -> str:
    return f"High load: updating every {interval}"


def running_of(count: Any, limit: Any) -> str:
    return f"{count} of {limit}"


def found(batches: Any) -> str:
    return f"{batches} found"


def page_of(page: Any, count: Any) -> str:
    return f"Page {page} of {count}"


def start(batch_id: Any) -> str:
    return f"Start {batch_id}"


def started(batch_id: str) -> str:
    return f"Started {batch_id}"


def stopped(batch_id: str) -> str:
    return f"Stopped {batch_id}"


def run(number: Any) -> str:
    return f"Run {number}"


def source(name: Any) -> str:
    return f"{name} source"


def uptime(duration: Any) -> str:
    return f"up {duration}"


def row_rate(rate: Any) -> str:
    return f"{rate} rows/s"


def points_in_window(points: Any) -> str:
    return f"{points} · 60\u00a0s"


def first_minute_ends_in(seconds: Any) -> str:
    return f"First minute ends in {seconds}\u00a0s"


def latest_minutes(shown: Any, count: Any) -> str:
    return f"The latest {shown} of {count} minutes with points"


def earlier_runs(count: Any) -> str:
    return f"{count} earlier"


def batch_title(batch_id: str, status: str) -> str:
    return f"{batch_id} · {STATUS.get(status, status)} · {PRODUCT}"


def home_title(running: int) -> str:
    return f"{running} running · {PRODUCT}" if running else f"{BATCHES} · {PRODUCT}"
