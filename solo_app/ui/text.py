"""Texts on the pages. The texts of errors are in ``solo_app.batches.errors``."""

from __future__ import annotations

PRODUCT = "SOLO"
DESCRIPTION = "A live console for background data batches."

LIVE = "live"
CONNECTING = "connecting"
AWAY = "no server"
OLD = "old"
AWAY_SINCE = "The server has not answered since "
AWAY_GOES_ON = ". Until it does, buttons do nothing; then the page goes on by itself."
WAITING_FOR_DISK = "New points wait to be written: "
NOT_ARCHIVED = "Old points are not archived, and stay where they are: "
NOT_READ = "Not all points can be shown: "
SLOWED = "Many are looking just now: this page is updated every "
BROKEN = "That did not work"
BROKEN_ADVICE = "Something went wrong on the server; its log says what. Nothing is lost."

THEMES = {"system": "Theme: as the system has it", "light": "Theme: light", "dark": "Theme: dark"}

BATCHES = "Batches"
ROWS = "rows"
ROWS_PER_SECOND = "rows per second"
RUNNING = "running"
START_A_BATCH = "Start a batch"

NEW_BATCH = "New batch"
NEW_BATCH_EXAMPLE = "for example sensor-a"
NEW_BATCH_HINT = "Letters, digits, dots, underscores, hyphens."
OR_AT_ONCE = " Or at once: "
KEYS = "Keys ", "/", " and ", "n", " lead to this field"
START = "Start"
OPEN_IT = "Open it"
OPEN = "Open"

ALL_BATCHES = "All batches"
SEARCH = "Search batches"
SEARCH_EXAMPLE = "Search"
FILTER = "Which batches"
FILTERS = {
    "all": "All",
    "running": "Running",
    "ended": "Ended",
    "failed": "Failed",
    "interrupted": "Interrupted",
}
FOUND = "in the table"
NO_BATCHES = "No batch yet. Name one above and start it."
NO_MATCHES = "No batch matches."
NEWER, OLDER = "Newer", "Older"
NEWEST, OLDEST = "Newest", "Oldest"
AVERAGE_OF, ROW_OF, ROWS_OF, SINCE = "average ", " row", " rows", "since "
COLUMNS = ("Batch", "Status", "Latest", "Average, last minute", "60 min", "Rows", "Started", "")

STATUS = {
    "running": "Running",
    "stopped": "Stopped",
    "failed": "Failed",
    "interrupted": "Interrupted",
    "finished": "Finished",
}
STOP = "Stop"
START_AGAIN = "Start again"

LATEST = "Latest data.key"
POINTS_DRAWN = "Newest points"
NO_POINTS_YET = "No points yet."
LAST_WHOLE_MINUTE = "Last whole minute"
AVERAGE, SUM, COUNT, LOWEST_HIGHEST = "Average", "Sum", "Count", "Lowest to highest"
BY_MINUTE = "By minute"
SPANS = {15: "15 min", 60: "1 h", 360: "6 h", 1440: "24 h"}
"""The durations of the minute chart, in minutes."""
FIRST_SPAN = 60
SPAN = "How long"
PAUSE, GO_ON = "Pause", "Go on"
BY_MINUTE_LEGEND = "Line: average. Band: lowest to highest. A gap: no points."
NO_MINUTES = "No whole minute with points yet."
NO_POINTS = "no points"
MINUTES_DRAWN = "Average, lowest and highest by minute"
AS_TABLE = "As a table"
LATEST_MINUTES = ("The latest ", " of ", " minutes with points.")
MINUTE = "Minute"
DOWNLOAD = "Download"
DOWNLOAD_FORMAT = "Format"
FILE_FORMATS = {"csv": "CSV", "parquet": "Parquet", "json": "JSON"}
DOWNLOAD_TIME = "Time"
DOWNLOAD_TIMES = {
    0: "Everything",
    **{m: f"Last {word}" for m, word in SPANS.items()},
    -1: "Between two times",
}
DOWNLOAD_BETWEEN = {"from": "From", "to": "To, not included"}
DOWNLOAD_EMPTY_RANGE = "The end must be after the start."
NEWEST_POINTS = "Newest points"
RUNS = "Runs"
EARLIER_RUNS = " earlier"
NOW = "now"

NO_SUCH_ID = "No batch can have this name"
NEVER_WAS = "There never was such a batch"
NEVER_WAS_ADVICE = "Start it, and this page shows it live."
START_IT = "Start it"
TO_ALL_BATCHES = "To all batches"
NO_SUCH_PAGE = "There is no such page"
NO_SUCH_PAGE_ADVICE = "The address leads nowhere. All batches are on the first page."


def started(batch_id: str) -> str:
    """Return the confirmation of a start."""
    return f"Started {batch_id}"


def stopped(batch_id: str) -> str:
    """Return the confirmation of a stop."""
    return f"Stopped {batch_id}"


def title(batch_id: str, status: str) -> str:
    """Return the title of the batch page."""
    return f"{batch_id} · {STATUS.get(status, status)} · {PRODUCT}"


def home_title(running: int) -> str:
    """Return the title of the home page, with the number of running batches if there are any."""
    return f"{running} running · {PRODUCT}" if running else f"{BATCHES} · {PRODUCT}"
