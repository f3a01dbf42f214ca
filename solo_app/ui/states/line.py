"""The line of the last minute of a batch, told to one tab: first all of it, then what is new.

While every new point is a vertex of it, the line goes on with the points that the tab is told
anyway (``News``), and nothing is told of it. The tab draws it (``assets/solo/ticks.js``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from solo_app.batches.model import Batch, Step, to_microseconds
from solo_app.batches.service import BatchService
from solo_app.batches.trail import Trail
from solo_app.ui.states.newest import News, differences, short


@dataclass(frozen=True, slots=True)
class Drawn:
    """The vertices of the line from some step on; a key of None breaks it.

    They go on where it was told up to ``after`` (a ``seq``), and are all of it when that is 0.
    ``times`` in microseconds, each but the first as the difference to the one before.
    """

    after: int
    times: list[int]
    keys: list[float | None]


@dataclass(frozen=True, slots=True)
class LineNews:
    """How many points the minute holds, None until that is known, and what there is to draw.

    ``drawn`` is None while the line goes on with the new points. ``lacks`` says why what is
    stored is not in it, when it cannot be read.
    """

    count: int | None
    drawn: Drawn | None
    lacks: str


@dataclass(frozen=True, slots=True)
class Line:
    """What a tab knows of the line: up to which ``seq``, in which run, and whether with what was
    stored before it was watched (``Trail.is_filled``).
    """

    last_seq: int
    run_number: int
    is_filled: bool


async def line_news(
    service: BatchService,
    batch: Batch,
    until: datetime,
    points: News,
    run_starts: Sequence[int],
    told: Line | None,
) -> tuple[LineNews, Line]:
    """What there is to tell beside ``points`` of the minute up to ``until``, and what the tab
    knows then.

    ``run_starts`` are the first ``seq`` of the batch's runs, in order.
    """
    trail = await service.trail(batch, until)
    knows = Line(points.last_seq, batch.run.number, trail.is_filled)
    goes_on = told is not None and replace(told, last_seq=knows.last_seq) == knows
    after = told.last_seq if told and goes_on else 0
    steps = trail.since(after)
    is_told = goes_on and _goes_on_with(points, after, steps, run_starts)
    news = LineNews(
        trail.count(to_microseconds(until)) if trail.is_filled else None,
        None if is_told else _drawn(trail, after, steps, run_starts),
        trail.read_error,
    )
    return news, knows


def _goes_on_with(points: News, after: int, steps: list[Step], run_starts: Sequence[int]) -> bool:
    """Whether the line goes on with the new points: no step left one out, no run began."""
    if not steps:
        return True
    left_one_out = any(step.count > len(step.vertices) for step in steps)
    seqs = [vertex.seq for step in steps for vertex in step.vertices]
    in_order = seqs == list(range(points.last_seq - len(seqs) + 1, points.last_seq + 1))
    all_told = len(points.keys) == points.last_seq - after
    began = _run_of(max(after, 1), run_starts) != _run_of(points.last_seq, run_starts)
    return in_order and all_told and not left_one_out and not began


def _drawn(trail: Trail, after: int, steps: list[Step], run_starts: Sequence[int]) -> Drawn:
    times: list[int] = []
    keys: list[float | None] = []
    previous = trail.before(steps[0]) if steps else None
    for vertex in (vertex for step in steps for vertex in step.vertices):
        if previous and _run_of(previous.seq, run_starts) != _run_of(vertex.seq, run_starts):
            times.append(vertex.ts)
            keys.append(None)
        times.append(vertex.ts)
        keys.append(short(vertex.key))
        previous = vertex
    return Drawn(after, differences(times), keys)


def _run_of(seq: int, run_starts: Sequence[int]) -> int:
    """The number of the run that a point is of."""
    return bisect_right(run_starts, seq)
