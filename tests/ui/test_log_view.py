"""The lines of the log on the batch page."""

from __future__ import annotations

from datetime import datetime, timedelta

from solo_app.batches.models import LogLevel, LogLine, to_microseconds
from solo_app.ui.state.log_view import log_values

START = datetime(2026, 3, 1, 12)
INFO, ERROR, RETRY = LogLevel.INFO, LogLevel.ERROR, LogLevel.RETRY


def lines(*levels: LogLevel, first: int = 1, run: int = 1) -> list[LogLine]:
    return [
        LogLine(n, START + timedelta(seconds=n), run, level, f"line {n}")
        for n, level in enumerate(levels, first)
    ]


def test_latest_lines_are_shown_in_order() -> None:
    values = log_values(lines(*[INFO] * 5), shown=3, only_errors=False)
    assert [row["number"] for row in values["rows"]] == [3, 4, 5]
    assert values["rows"][0]["t"] == to_microseconds(START + timedelta(seconds=3))
    assert (values["line_count"], values["earlier_lines"], values["is_cut"]) == (5, 2, False)


def test_all_kept_lines_are_shown_on_request() -> None:
    values = log_values(lines(*[INFO] * 5, first=8), shown=None, only_errors=False)
    assert [row["number"] for row in values["rows"]] == [8, 9, 10, 11, 12]
    assert (values["earlier_lines"], values["is_cut"]) == (0, True)


def test_filter_shows_the_latest_errors_and_retries() -> None:
    values = log_values(lines(ERROR, INFO, RETRY, INFO, ERROR), shown=2, only_errors=True)
    assert [(row["number"], row["level"]) for row in values["rows"]] == [
        (3, "retry"),
        (5, "error"),
    ]
    assert (values["line_count"], values["error_count"], values["earlier_lines"]) == (5, 3, 1)


def test_first_line_of_each_run_is_marked() -> None:
    log = lines(INFO, INFO) + lines(INFO, INFO, first=3, run=2)
    values = log_values(log, shown=None, only_errors=False)
    assert [row["starts_run"] for row in values["rows"]] == [True, False, True, False]


def test_empty_log_has_no_rows() -> None:
    values = log_values([], shown=3, only_errors=False)
    assert (values["rows"], values["line_count"], values["is_cut"]) == ([], 0, False)
