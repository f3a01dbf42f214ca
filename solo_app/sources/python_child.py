"""Runs the async generator of a ``python`` source and prints its numbers, one per line.

The environment variable ``VARIABLE`` contains the target, its arguments and the folder of its
module as JSON. Standard output is for the numbers only; ``print`` in the generator writes to
standard error.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import sys
import traceback
from array import array
from collections.abc import AsyncIterable
from typing import Any, TextIO

VARIABLE = "PYTHON_SOURCE"

_LOCATION = re.compile(r'  File "<frozen .*\n|File ".*", (line \d+)(, in .*)?')
"""A location in a traceback. Only its line number is shown: the names of the module and the
function are parameters in ``solo.toml``. Frames of importlib are omitted."""


def main() -> None:
    settings = json.loads(os.environ.pop(VARIABLE))
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.insert(0, settings["cwd"])
    try:
        items = call(settings["target"], settings["arguments"])
        asyncio.run(write_numbers(items, output))
    except (Exception, asyncio.CancelledError):
        sys.exit(_LOCATION.sub(r"\1", traceback.format_exc()).replace(settings["cwd"], "."))


def call(target: str, arguments: dict[str, Any]) -> object:
    """Call the function of a target ``module:function``. Exits if this is not possible.

    The messages contain neither the target nor the arguments, which are in ``solo.toml``.
    """
    module_name, _, name = target.partition(":")
    sys.modules.pop(module_name.partition(".")[0], None)  # May be a standard module or package.
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            sys.exit("`target`: module not found")
        raise
    function = getattr(module, name, None)
    if not callable(function):
        sys.exit("`target`: function not found")
    try:
        return function(**arguments)  # For a generator function, this runs no code yet.
    except TypeError:
        sys.exit("`arguments` do not match the parameters of the function")


async def write_numbers(items: object, output: TextIO) -> None:
    """Write each item immediately: a number, or a list or array of numbers."""
    if not isinstance(items, AsyncIterable):
        if asyncio.iscoroutine(items):
            items.close()  # Otherwise Python warns.
        sys.exit("`target` is not an async generator")
    async for item in items:
        numbers = item.tolist() if hasattr(item, "tolist") else item
        values = numbers if isinstance(numbers, list | tuple) else [numbers]
        output.writelines(f"{value!r}\n" for value in array("d", values))  # Only real numbers.
        output.flush()


if __name__ == "__main__":
    main()
