"""Texts on the pages. The texts of errors are in ``solo_app.batches.errors``.

Fill placeholders with ``format``, also with vars: the browser formats numbers and times.
"""

from __future__ import annotations

from solo_app.batches.errors import BatchLimitReachedError
from solo_app.batches.runner import BATCH_LIMIT

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
HIGH_LOAD = "High load: updating every {interval}"
ARCHIVING_FAILING = "Archiving is failing: "
POINTS_UNREADABLE = "Some stored points can't be read: "
SERVER_ERROR = "Server error"
SERVER_ERROR_DETAIL = "Details are in the server log. Stored data is safe."

THEMES = {"system": "Theme: system", "light": "Theme: light", "dark": "Theme: dark"}

SHORTCUTS = "Keyboard shortcuts"
SHORTCUT_LIST = {"/": "Search batches", "n": "Name a new batch", "?": "Show keyboard shortcuts"}
ENABLE_SHORTCUTS = "Enable shortcuts"
CLOSE = "Close"
SAVE, CANCEL = "Save", "Cancel"
COPY, COPIED = "Copy", "Copied"

BATCHES = "Batches"
ROWS = "rows"
ROWS_PER_SECOND = "rows/s"
RUNNING = "running"
RUNNING_BATCHES = "Running batches"
RUNNING_OF = "{count} of {limit}"

NEW_BATCH = "New batch"
NAME = "Name"
NAME_EXAMPLE = "e.g. sensor-a"
NAME_HELP = "a–z, 0–9, . _ -"
SUGGESTION = "Suggestion: "
START = "Start"
OPEN = "Open"
START_BATCH = "Start {batch_id}"
LIMIT_REACHED = str(BatchLimitReachedError(BATCH_LIMIT, []))
KNOWN_BATCH = "{batch_id} has {rows}."
FILLED_IN = "Its last configuration is filled in."
BUILT_IN, THIRD_PARTY, DECLARED = "Built in", "Third party", "Declared in solo.toml"
SOURCE_OPTION = "{name} – {description}"
DECLARED_HELP = "{description} Its parameters are set in solo.toml."
PARAMETERS = "Parameters of {source}"
OPTIONAL = "optional"
NO_CHOICE = "–"
MORE = "More"
UNIT, UNIT_HELP = "Unit", "Shown with values, such as °C"
DESCRIPTION_LABEL = "Description"
RESTART_HELP = "If the source fails"

FIRST_NUMBER = "Get your first number"
SEND_ONE, SEND_ONE_HELP = "Send one", "From any program, in one line."
WAITING_FOR_FIRST_POINT = "Waiting for the first point of {batch_id}…"
MONITOR_CPU, MONITOR_CPU_HELP = "This machine's CPU", "Its load in percent, once a second."
READ_URL, READ_URL_HELP = "Read a URL", "A number from any web service."
CHOOSE_URL = "Enter a URL"
RANDOM_DEMO_PREFIX, RANDOM_DEMO = "or ", "start a random demo"

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
FOUND = "{batches} found"
NO_MATCHES = "No matches"
CLEAR_FILTERS = "Clear filters"
FIRST, PREVIOUS, NEXT, LAST = "First", "Previous", "Next", "Last"
PAGES = "Pages of the table"
PAGE_OF = "Page {page} of {count}"
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
RETRYING = "Retrying"
RETRYING_NOW = "Retrying · attempt {attempt}"
RETRYING_IN = "Retrying · attempt {attempt} in {duration}"
STOP = "Stop"
STOPPED = "Stopped {batch_id}"
DELETE_BATCH = "Delete {batch_id}"
DELETE_QUESTION = "Delete {points} and {runs} of {batch_id}? This cannot be undone."
DELETING = "Deleting…"
DELETED = "Deleted {batch_id}"
DOWNLOAD_FIRST = "Download first"
STARTED = "Started {batch_id}"
START_AGAIN = "Start again"
ROW_RATE = "{rate} rows/s"
UPTIME = "up {duration}"
SOURCE = "{name} source"

LATEST_VALUE = "Latest value"
LATEST_POINTS = "Latest points"
POINT_COLUMNS = ("#", "Time", "Value")
WAITING_FOR_POINTS = "Waiting for the first point…"
NO_POINTS = "No points"
LIVE_CHART = "Values of the last 60 s"
POINTS_IN_WINDOW = "{points} · 60\u00a0s"
VALUE = "value"
NOW = "now"
PAUSE, RESUME = "Pause", "Resume"

LAST_FULL_MINUTE = "Last full minute"
LAST_MINUTE_WITH_DATA = "Last minute with data"
AVERAGE, SUM, COUNT, MIN_MAX = "Average", "Sum", "Count", "Min – max"

PER_MINUTE = "Per minute"
PER_MINUTE_LEGEND = "Line: average. Band: min – max. Gaps mean no data."
MINUTE_CHART = "Average, minimum and maximum per minute"
FIRST_MINUTE_ENDS_IN = "First minute ends in {seconds}\u00a0s"
CHART_AVERAGE, CHART_RANGE = "avg", "min – max"
NO_DATA = "No data"
RANGE = "Range"
RANGES = {15: "15 min", 60: "1 h", 360: "6 h", 1440: "24 h"}
"""The durations of the minute chart, in minutes."""
DEFAULT_RANGE = 60
SHOW_TABLE = "Show as table"
LATEST_MINUTES = "The latest {shown} of {count} minutes with points"
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

LOG = "Log"
LOG_FILTER = "Lines"
ALL_LINES, ERRORS = "All", "Errors"
ERROR, RETRY = "Error", "Retry"
NEW_LINES = ["1 new line ↓", "{count} new lines ↓"]
EARLIER_LINES = "{count} earlier"
LOG_IS_CUT = "Only the last {count} lines are kept."
LOG_IS_EMPTY = "Output, retries and errors appear here."
NO_ERRORS = "No errors"
DOWNLOAD_LOG = "Download the log"

LABELS = {"unit": UNIT, "description": DESCRIPTION_LABEL}
ADD, EDIT = "Add {label}", "Edit {label}"
SOURCE_TITLE = "Source"
KIND = "Kind"
PARAMETERS_TITLE, SET_BY_OPERATOR = "Parameters", "Set in solo.toml"
RESTART = "Restart"
RESTART_POLICIES = {"never": "Never", "on-failure": "On failure"}
YES, NO = "Yes", "No"
SEND_A_VALUE = "Send a value"

RUNS = "Runs"
EARLIER_RUNS = "{count} earlier"
RUN = "Run {number}"

INVALID_NAME = "Invalid batch name"
BATCH_NOT_FOUND = "Batch not found"
BATCH_NOT_FOUND_ADVICE = "Start it to see it here."
PAGE_NOT_FOUND = "Page not found"
PAGE_NOT_FOUND_ADVICE = "There is no page at this address."


def batch_title(batch_id: str, status: str) -> str:
    return f"{batch_id} · {STATUS.get(status, status)} · {PRODUCT}"


def home_title(running: int) -> str:
    return f"{running} running · {PRODUCT}" if running else f"{BATCHES} · {PRODUCT}"
