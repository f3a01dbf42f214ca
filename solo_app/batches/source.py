"""The source protocol: what a source kind consists of, and validation of what it yields.

``SourceKind.read`` returns an async generator. Each item is a number, or a one-dimensional array of
numbers of any length, including 0. The numbers of an array have the same time, except that a long
array is appended to the buffer in parts, each with its own time. A source must not change an array
until the next item is requested. A run is ``finished`` when its source ends. When it raises, the
source is restarted or the run is ``failed``, depending on the restart policy of the run.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from solo_app.batches.errors import BadNumberError, InvalidConfigurationError
from solo_app.batches.models import RestartPolicy

Numbers = float | NDArray[np.float64]

SOURCE_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

DEFAULT_SOURCE = "random"

PUSH_SOURCE = "push"
"""The source of batches whose points are sent by clients."""


class Parameters(BaseModel):
    """Base of the parameters of a source kind.

    The fields define the form on the home page and the JSON Schema in ``GET /sources``: ``title``
    (by default their name), ``description`` (help), limits and default.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class RunContext(Protocol):
    """The run for which a source produces numbers."""

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last point, or since the start of the run if it has no points."""

    def log(self, text: str) -> None:
        """Add a text to the log of the batch, one line for each of its lines.

        Lines in excess of 100 per second are dropped. Call this on the event loop.
        """


@dataclass(frozen=True, slots=True)
class SourceKind:
    """A kind of source. Third parties register theirs as entry points of the group
    ``solo.sources``.

    ``description`` is one sentence for the form. ``parameters`` is a subclass of ``Parameters``;
    ``read`` receives an instance of it. ``restart`` is the default restart policy of a run.

    The operator can declare sources of this kind with parameters that run programs, read files or
    contain secrets. ``declared_parameters`` is their class if it has more fields than
    ``parameters``. If ``is_declared_only``, clients cannot start the kind itself.
    """

    name: str
    description: str
    parameters: type[BaseModel]
    read: Callable[[Any, RunContext], AsyncIterator[Numbers]]
    restart: RestartPolicy = RestartPolicy.ON_FAILURE
    declared_parameters: type[BaseModel] | None = None
    is_declared_only: bool = False

    def __post_init__(self) -> None:
        if not SOURCE_NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not a valid name of a source kind")
        for model in (self.parameters, self.declared_parameters):
            if model:
                model.model_json_schema()  # Raises if it is not a model or has no JSON Schema.

    def parse(self, parameters: Mapping[str, Any]) -> BaseModel:
        """Validate parameters. Raises InvalidConfigurationError, which names each invalid field."""
        try:
            return self.parameters.model_validate(dict(parameters))
        except ValidationError as error:
            raise InvalidConfigurationError(
                {
                    ".".join(map(str, ("parameters", *e["loc"]))): error_message(e)
                    for e in error.errors()
                }
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredSource(SourceKind):
    """A source in ``solo.toml``: a name for a source kind with fixed parameters.

    Clients start it by its name and cannot set parameters. ``kind`` is the name of the kind.
    """

    kind: str


_MESSAGES = {
    "dict_type": "Must be a table or object",
    "extra_forbidden": "Unknown parameter",
    "invalid-json-value": "Must be a JSON value; quote dates and times",
    "list_type": "Must be an array",
    "path_not_directory": "Must be a folder",
    "path_not_file": "Must be a file",
    "recursion_depth_exceeded": "Is nested too deeply",
    "string_pattern_mismatch": "Has invalid characters or an invalid format",
}
"""Messages by type of error. Other types have the message of pydantic."""


def error_message(error: Mapping[str, Any]) -> str:
    """Return the text of an item of ``ValidationError.errors``."""
    if error["loc"][2:] == ("[key]",):  # The table, the name in it, and a marker of pydantic.
        return "A name has invalid characters"
    message: str = error["msg"]
    return _MESSAGES.get(error["type"], message.removeprefix("Value error, "))


def to_array(numbers: object) -> NDArray[Any]:
    """Return an item of a source as an array. Arrays are not copied.

    Raises BadNumberError for anything but numbers: text, None, booleans, integers beyond the range
    of a double, and arrays with several dimensions or masked elements.
    """
    if isinstance(numbers, np.ndarray):
        if numbers.ndim != 1 or numbers.dtype.kind not in "iuf" or np.ma.isMaskedArray(numbers):
            raise BadNumberError(numbers)
        return numbers
    if isinstance(numbers, int | float | np.integer | np.floating) and not isinstance(
        numbers, bool
    ):
        try:
            return np.array([float(numbers)])
        except OverflowError:
            raise BadNumberError(numbers) from None
    raise BadNumberError(numbers)


def to_finite_doubles(numbers: NDArray[Any]) -> NDArray[np.float64]:
    """Return a copy as doubles. Raises BadNumberError for NaN and infinities."""
    array = numbers.astype(np.float64)
    finite = np.isfinite(array)
    if not finite.all():
        raise BadNumberError(float(array[~finite][0]))
    return array
