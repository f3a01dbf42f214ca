"""The line of the last minute of a batch, thinned so that its extremes stay true.

Time is cut into steps of ``STEP_US``. Of each step the line keeps its lowest and its highest
point, and so it has at most two vertices every quarter of a second however fast points come;
of a slow batch it keeps every point (min-max decimation, as oscilloscopes do it).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from solo_app.batches.backoff import ReadBackoff
from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.model import (
    STEP_US,
    Batch,
    Block,
    Point,
    Step,
    Vertex,
    from_microseconds,
    to_microseconds,
)
from solo_app.batches.storage import Storage

SPAN = timedelta(minutes=1)
"""How long before now, or before its end, the line of a batch begins."""

KEPT = 32
"""Batches whose lines are kept: those that run, and those that were looked at last."""

PATIENCE = 0.3
"""Seconds that somebody waits for what is in the store; then it comes when it is there."""

_SPAN_US = SPAN // timedelta(microseconds=1)
_STEPS = _SPAN_US // STEP_US


def steps_of(block: Block) -> Iterator[Step]:
    """The steps of committed points, in order of ``seq``.

    A step comes more than once when the clock went back and forth between two.
    """
    for start, end in pairwise([0, *_borders(block.ts), len(block.ts)]):
        key = block.key[start:end]
        # Of equal ones the first and the last, so that two points are both of them.
        low, high = start + int(key.argmin()), end - 1 - int(key[::-1].argmax())
        last_seq = block.first_seq + end - 1
        yield Step(
            int(block.ts[start]) // STEP_US,
            end - start,
            last_seq,
            _vertex(block, low),
            _vertex(block, high),
        )


def _borders(ts: NDArray[np.int64]) -> list[int]:
    """Where another step begins than the one before."""
    # A large block has come within one step, and that is seen ten times sooner.
    if int(ts.min()) // STEP_US == int(ts.max()) // STEP_US:
        return []
    borders: list[int] = (np.flatnonzero(np.diff(ts // STEP_US)) + 1).tolist()
    return borders


def _vertex(block: Block, i: int) -> Vertex:
    return Vertex(float(block.key[i]), block.first_seq + i, int(block.ts[i]))


class Trail:
    """The line of one batch: its steps by number, in order of time.

    Every point from ``first_seq`` on is in it, and once it ``is_filled`` those of the minute
    before as well; and the step before the last minute, from which the line comes in.
    """

    def __init__(self, first_seq: int) -> None:
        self.first_seq = first_seq
        self.is_filled = first_seq == 1
        self.filling: asyncio.Task[None] | None = None
        self.read_error = ""
        """Why what is stored could not be read, when it could not."""
        self._steps: dict[int, Step] = {}
        self._points = 0
        """How many points all steps hold: it is asked at every tick, and steps are many."""

    def add(self, block: Block) -> None:
        """Take the next committed points."""
        numbers = self._merge(steps_of(block))
        self._forget(numbers[-1])

    def fill(self, steps: Iterable[Step]) -> None:
        """Take what was before ``first_seq``, once."""
        self._merge(steps)
        self.is_filled = True

    def since(self, seq: int) -> list[Step]:
        """The steps from the first one on that has points after ``seq``, in order of time."""
        steps = list(self._steps.values())
        first = next((i for i, step in enumerate(steps) if step.last_seq > seq), len(steps))
        return steps[first:]

    def before(self, step: Step) -> Vertex | None:
        """The last vertex before a step, as far back as the line goes."""
        earlier = [number for number in self._steps if number < step.number]
        return self._steps[earlier[-1]].vertices[-1] if earlier else None

    def count(self, until: int) -> int:
        """How many points lie in the minute before ``until`` (microseconds).

        Exact where the step in which that minute begins holds at most two; of more it takes
        the share of the step that lies in the minute.
        """
        start = until - _SPAN_US
        border = start // STEP_US
        count = self._points
        for step in self._steps.values():
            if step.number > border:
                break
            count -= step.count
            if step.number == border:
                count += _count_after(start, step)
        return count

    def _merge(self, steps: Iterable[Step]) -> list[int]:
        numbers = [next(reversed(self._steps), 0)]
        for step in steps:
            known = self._steps.get(step.number)
            self._steps[step.number] = known.merged_with(step) if known else step
            self._points += step.count
            numbers.append(step.number)
        if numbers != sorted(numbers):
            self._steps = dict(sorted(self._steps.items()))
        return numbers

    def _forget(self, latest: int) -> None:
        """Drop what is older than a minute but for one step; after a jump of the clock what is
        far ahead, too.
        """
        numbers = list(self._steps)
        while len(numbers) > 1 and numbers[1] < latest - _STEPS:
            self._points -= self._steps.pop(numbers.pop(0)).count
        while numbers[-1] > latest + _STEPS:
            self._points -= self._steps.pop(numbers.pop()).count


def _count_after(start: int, step: Step) -> int:
    if step.count <= 2:
        return sum(vertex.ts > start for vertex in step.vertices)
    return round(step.count * (1 - start % STEP_US / STEP_US))


class Trails:
    """The lines of the batches that run or were looked at of late."""

    def __init__(self, store: Storage, backoff: ReadBackoff) -> None:
        self._store = store
        self._backoff = backoff
        self._trails: OrderedDict[int, Trail] = OrderedDict()

    def add(self, block: Block) -> None:
        """Take committed points."""
        self._of(block.batch_no, block.first_seq).add(block)

    async def of(self, batch: Batch, last_seq: int, until: int) -> Trail:
        """The line of a batch whose last point is ``last_seq``, up to ``until`` (microseconds).

        What is in the store comes later than ``PATIENCE`` when it is much: then the trail
        tells that it is not filled yet; so it does, and why, when it cannot be read.
        """
        trail = self._of(batch.no, last_seq + 1)
        if trail.is_filled:
            return trail
        if trail.filling is None:
            trail.filling = asyncio.create_task(self._fill(trail, batch.no, until))
        await asyncio.wait({trail.filling}, timeout=PATIENCE)
        if trail.filling and trail.filling.done():
            filling, trail.filling = trail.filling, None
            trail.read_error = ""
            try:
                filling.result()
            except StoreUnavailableError as error:
                trail.read_error = str(error)
        return trail

    def _of(self, batch_no: int, first_seq: int) -> Trail:
        trail = self._trails.get(batch_no)
        if trail is None:
            trail = self._trails[batch_no] = Trail(first_seq)
            if len(self._trails) > KEPT:
                self._trails.popitem(last=False)
        self._trails.move_to_end(batch_no)
        return trail

    async def _fill(self, trail: Trail, batch_no: int, until: int) -> None:
        start = from_microseconds(until - _SPAN_US)
        query = partial(self._store.steps, batch_no, start, trail.first_seq)
        steps = await self._backoff.read(("steps", batch_no), query)
        earlier = trail.first_seq - sum(step.count for step in steps) - 1
        points: list[Point] = []
        if earlier > 0:
            with suppress(StoreUnavailableError):  # The line then begins with its minute.
                points = await self._store.points(batch_no, earlier - 1, 1)
        trail.fill([*(_step_of(point) for point in points if point.ts <= start), *steps])


def _step_of(point: Point) -> Step:
    """The step of a point alone."""
    vertex = Vertex(point.key, point.seq, to_microseconds(point.ts))
    return Step(vertex.ts // STEP_US, 1, vertex.seq, vertex, vertex)
