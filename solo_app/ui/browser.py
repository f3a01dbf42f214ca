"""What is worked out in the browser (``assets/solo.js``): times, numbers, lines.

Times are shown in the viewer's zone, and given as microseconds since 1970-01-01 UTC. Each
function takes vars and gives a var.
"""

from __future__ import annotations

from typing import Any

from reflex.vars import FunctionStringVar, FunctionVar, Var, VarData
from reflex_base.utils.imports import ImportVar

_MODULE = "$/public/solo.js"


def function(name: str) -> FunctionVar[Any]:
    """A function that ``assets/solo.js`` exports."""
    return FunctionStringVar.create(
        name, _var_data=VarData(imports={_MODULE: [ImportVar(tag=name, install=False)]})
    )


def _text(name: str, *args: Any) -> Var[str]:
    return function(name).call(*args).to(str)


def number(value: Any, digits: int = 0) -> Var[str]:
    """A number with thin spaces between thousands; a dash for none."""
    return _text("number", value, digits)


def key(value: Any) -> Var[str]:
    """A point's number, as short as it can be told."""
    return _text("key", value)


def rate(value: Any) -> Var[str]:
    """Something per second."""
    return _text("rate", value)


def span(seconds: Any) -> Var[str]:
    """So many seconds, as people say it."""
    return _text("span", seconds)


def clock(moment: Any) -> Var[str]:
    """Hours, minutes and seconds."""
    return _text("clock", moment)


def clock_ms(moment: Any) -> Var[str]:
    """Hours, minutes, seconds and milliseconds."""
    return _text("clockMs", moment)


def when(moment: Any) -> Var[str]:
    """Hours and minutes, with the day when it is not today."""
    return _text("when", moment)


def utc(moment: Any) -> Var[str]:
    """The whole of a time in UTC, for whoever wants to be sure."""
    return _text("utc", moment)


def iso(moment: Any) -> Var[str]:
    """A time for machines."""
    return _text("iso", moment)


def spark(keys: Any, floor: float | None = None) -> Var[str]:
    """The path of a small line through these numbers, above a ``floor`` where one is given."""
    return _text("spark", keys, floor)


def route_id() -> Var[str]:
    """The batch_id in the address that the browser shows now."""
    return Var(
        _js_expr="(routeParams.id ?? '')",
        _var_type=str,
        _var_data=VarData(
            imports={"react-router": [ImportVar(tag="useParams", install=False)]},
            hooks={"const routeParams = useParams();": None},
        ),
    ).to(str)
