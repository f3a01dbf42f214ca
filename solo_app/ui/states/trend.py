"""The two small lines of a running batch on the first page, told to one tab as they grow."""

from __future__ import annotations

from dataclasses import dataclass, field

from solo_app.batches.live import Snapshot
from solo_app.batches.minutes import whole_minute
from solo_app.batches.model import MINUTE, Batch, Window, to_microseconds
from solo_app.batches.service import BatchService
from solo_app.ui.states.newest import newest

POINTS = 40
MINUTES = 60

Averages = tuple[float | None, ...]
"""By minute, the latest last; None for a minute without points."""


@dataclass(frozen=True, slots=True)
class Trend:
    """What a tab knows of a batch: its points up to ``last_seq``, and its averages by minute over
    the last whole hour before ``minute`` (counted since 1970). ``lacks`` is that of ``News``.
    """

    batch_no: int
    last_seq: int | None = None
    minute: int = 0
    lacks: str = ""
    averages: Averages = field(default=(), hash=False)  # Many numbers, and seldom others.


async def trend_news(
    service: BatchService, snapshot: Snapshot, batch: Batch, told: Trend
) -> tuple[list[object], Trend]:
    """What there is to tell now: ``last_seq`` and ``keys`` as in ``News``; then, when there is
    any, the averages up to now from the first that differs from what was told, and ``whole``.
    With it, what the tab knows then.
    """
    news = await newest(service, batch, told.last_seq, POINTS, told.lacks)
    averages = _averages_of(service, snapshot, batch)
    minute = to_microseconds(snapshot.at) // 60_000_000
    passed = minute - told.minute
    changed = _changed(told.averages[passed:] if passed >= 0 else (), averages)
    seldom = [changed, 1 if news.whole else 0] if changed or news.whole else []
    knows = Trend(batch.no, news.last_seq, minute, news.lacks, averages)
    return [news.last_seq, news.keys, *seldom], knows


def _averages_of(service: BatchService, snapshot: Snapshot, batch: Batch) -> Averages:
    end = whole_minute(snapshot.at)
    start = end - MINUTES * MINUTE
    averages: list[float | None] = [None] * MINUTES
    for minute in service.recent_minutes(batch, Window(start, end)):
        averages[(minute.minute - start) // MINUTE] = round(minute.average, 2)
    return tuple(averages)


def _changed(told: Averages, now: Averages) -> Averages:
    """The end of ``now`` from the first that differs from ``told``; both begin together."""
    for i, average in enumerate(now):
        if i >= len(told) or told[i] != average:
            return now[i:]
    return ()
