"""Vars formatted in the browser, by the functions of ``assets/format.js``.

Times are microseconds since 1970-01-01 UTC, shown in the viewer's time zone. Each function takes
vars or constants and returns a var.
"""

from __future__ import annotations

from typing import Any

from reflex.vars import FunctionStringVar, FunctionVar, Var, VarData
from reflex_base.utils.imports import ImportVar


def function(name: str, module: str = "format") -> FunctionVar[Any]:
    """Return a function that a module in ``assets/`` exports."""
    imports = {f"$/public/{module}.js": [ImportVar(tag=name, install=False)]}
    return FunctionStringVar.create(name, _var_data=VarData(imports=imports))


def _text(name: str, *args: Any) -> Var[str]:
    return function(name).call(*args).to(str)


def number(value: Any, digits: int = 0) -> Var[str]:
    """Format a number with thin spaces between thousands; None becomes a dash."""
    return _text("number", value, digits)


def key(value: Any) -> Var[str]:
    """Format the value of a point with at most six significant digits; None becomes a dash."""
    return _text("key", value)


def rate(value: Any) -> Var[str]:
    """Format a rate per second."""
    return _text("rate", value)


def span(seconds: Any) -> Var[str]:
    """Format a duration in its two largest units."""
    return _text("span", seconds)


def clock(time: Any) -> Var[str]:
    """Format a time as hours, minutes and seconds."""
    return _text("clock", time)


def clock_ms(time: Any) -> Var[str]:
    """Format a time as hours, minutes, seconds and milliseconds."""
    return _text("clockMs", time)


def when(time: Any) -> Var[str]:
    """Format a time as hours and minutes, with the day unless it is today."""
    return _text("when", time)


def utc(time: Any) -> Var[str]:
    """Format a time in UTC, with milliseconds."""
    return _text("utc", time)


def iso(time: Any) -> Var[str]:
    """Format a time as ISO 8601 in UTC."""
    return _text("iso", time)


def spark(values: Any, floor: float | None = None) -> Var[str]:
    """Return the SVG path of a sparkline, scaled from ``floor`` if given."""
    return _text("spark", values, floor)


def chart_points(end: Any, offsets: Any, keys: Any) -> Var[list[dict[str, Any]]]:
    """Return the data of a chart, objects with ``t`` and ``key``, from the columns of ``Chart``."""
    return function("chartPoints").call(end, offsets, keys).to(list[dict[str, Any]])


def route_id() -> Var[str]:
    """Return the batch id in the URL of the browser."""
    return Var(
        _js_expr="(routeParams.id ?? '')",
        _var_type=str,
        _var_data=VarData(
            imports={"react-router": [ImportVar(tag="useParams", install=False)]},
            hooks={"const routeParams = useParams();": None},
        ),
    ).to(str)
