"""Blocks of points, and charts in a form that is easy to compare."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import numpy as np

from solo_app.batches.models import BUCKET_US, Block, to_microseconds
from solo_app.batches.series import Chart

START = datetime(2012, 11, 11, 10, 10)
SECOND = 1_000_000

Extremes = dict[int, tuple[float, float]]
"""The lowest and the highest key by bucket."""


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def us(seconds: float) -> int:
    """Return the time ``seconds`` after ``START`` in microseconds since 1970."""
    return to_microseconds(START) + round(seconds * SECOND)


def create_block(first_seq: int, *points: tuple[float, float]) -> Block:
    """Each point is a pair of seconds after ``START`` and key."""
    ts = np.array([us(second) for second, _ in points])
    return Block(1, first_seq, ts, np.array([key for _, key in points], float))


def line(chart: Chart) -> list[tuple[float, float | None]]:
    """Return the vertices as pairs of seconds after ``START`` and key."""
    times = [(t - us(0)) / SECOND for t in vertex_times(chart)]
    return list(zip(times, chart.keys, strict=True))


def vertex_times(chart: Chart) -> list[int]:
    """Return the times of the vertices in microseconds, precise to the millisecond."""
    return [(chart.end // 1000 + offset) * 1000 for offset in chart.offsets]


def extremes(chart: Chart) -> Extremes:
    vertices = zip(vertex_times(chart), chart.keys, strict=True)
    return extremes_of_points((t, key) for t, key in vertices if key is not None)


def extremes_of_points(points: Iterable[tuple[int, float]]) -> Extremes:
    """Each point is a pair of microseconds since 1970 and key."""
    keys: dict[int, list[float]] = {}
    for ts, key in points:
        keys.setdefault(ts // BUCKET_US, []).append(key)
    return {number: (min(found), max(found)) for number, found in keys.items()}


def without_first(chart: Chart) -> Chart:
    return Chart(chart.end, chart.offsets[1:], chart.keys[1:])
