"""Vars formatted in the browser, by the functions of ``assets/format.js``.

Times are microseconds since 1970-01-01 UTC, shown in the viewer's locale and time zone. Each
function takes vars or constants and returns a var. None becomes a dash.
"""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex.vars import FunctionStringVar, FunctionVar, Var, VarData
from reflex_base.utils.imports import ImportVar


def function(name: str, module: str = "format") -> FunctionVar[Any]:
    """Return a function that a module in ``assets/`` exports."""
    imports = {f"$/public/{module}.js": [ImportVar(tag=name, install=False)]}
    return FunctionStringVar.create(name, _var_data=VarData(imports=imports))


def _text(name: str, *args: Any) -> Var[str]:
    return function(name).call(*args).to(str)


def number(value: Any, digits: int = 0) -> Var[str]:
    return _text("number", value, digits)


def value(value: Any) -> Var[str]:
    """Format the value of a point: whole numbers in full, others to six significant digits."""
    return _text("value", value)


def with_unit(formatted: Any, unit: Any) -> Var[str]:
    """Append a unit to a formatted number, unless either is missing."""
    return _text("withUnit", formatted, unit)


def value_range(low: Any, high: Any) -> Var[str]:
    return _text("valueRange", low, high)


def rate(value: Any) -> Var[str]:
    return _text("rate", value)


def count(amount: Any, singular: str, plural: str) -> str:
    """Format a number with its noun."""
    return f"{number(amount)} {rx.cond(amount == 1, singular, plural)}"


def duration(seconds: Any) -> Var[str]:
    """Format a duration in its two largest units."""
    return _text("duration", seconds)


def time(at: Any) -> Var[str]:
    """Format a time with seconds."""
    return _text("time", at)


def time_ms(at: Any) -> Var[str]:
    """Format a time with milliseconds."""
    return _text("timeMs", at)


def milliseconds(at: Any) -> Var[str]:
    """Format the milliseconds of a time, which are shown after its seconds."""
    return _text("milliseconds", at)


def date_time(at: Any) -> Var[str]:
    """Format a time as hours and minutes, with the day unless it is today."""
    return _text("dateTime", at)


def log_time(at: Any) -> Var[str]:
    """Format a time with seconds, and with the day unless it is today."""
    return _text("logTime", at)


def time_range(start: Any, end: Any) -> Var[str]:
    """Format a range as hours and minutes, with the days unless both are today."""
    return _text("timeRange", start, end)


def utc(at: Any) -> Var[str]:
    """Format a time in UTC, with milliseconds."""
    return _text("utc", at)


def iso(at: Any) -> Var[str]:
    """Format a time as ISO 8601 in UTC."""
    return _text("iso", at)


def log_text(lines: Any) -> Var[str]:
    """Format lines of the log as plain text."""
    return _text("logText", lines)


def origin(url: str) -> Var[str]:
    """Return ``url``, or the origin of the page if it is empty."""
    return _text("origin", url)


def sparkline(values: Any, floor: float | None = None) -> Var[str]:
    """Return the SVG path of a sparkline, scaled from ``floor`` if given."""
    return _text("sparkline", values, floor)


def chart_points(end: Any, offsets: Any, keys: Any) -> Var[list[dict[str, Any]]]:
    """Return the data of a chart, objects with ``t`` and ``key``, from the columns of ``Chart``."""
    return function("chartPoints").call(end, offsets, keys).to(list[dict[str, Any]])
