"""The two small lines of a running batch on the first page, told to one tab as they grow."""

from __future__ import annotations

from solo_app.batches.live import Snapshot
from solo_app.batches.model import MINUTE, Batch, Window, to_microseconds
from solo_app.batches.rollup import whole_minute
from solo_app.batches.service import BatchService
from solo_app.ui.states.newest import Newest

POINTS = 40
MINUTES = 60

Averages = list[float | None]
"""By minute, the latest last; None for a minute without points."""


class Trend:
    """The newest numbers of a batch, and its averages by minute over the last whole hour."""

    def __init__(self, service: BatchService) -> None:
        self._service = service
        self._newest = Newest(service, POINTS)
        self._minute = 0
        self._averages: Averages = []

    async def news(self, snapshot: Snapshot, batch: Batch) -> list[object]:
        """What there is to tell now: ``last_seq`` and ``keys`` as in ``News``; then, when there is
        any, the averages up to now from the first that differs from what was told, and ``whole``.
        """
        news = await self._newest.news(snapshot, batch)
        averages = self._averages_of(snapshot, batch)
        minute = to_microseconds(snapshot.at) // 60_000_000
        passed = minute - self._minute
        changed = _changed(self._averages[passed:] if passed >= 0 else [], averages)
        self._minute, self._averages = minute, averages
        seldom = [changed, news.whole] if changed or news.whole else []
        return [news.last_seq, news.keys, *seldom]

    def _averages_of(self, snapshot: Snapshot, batch: Batch) -> Averages:
        """Worked out once for all who look."""
        averages: Averages | None = snapshot.shared.get(("averages", batch.no))
        if averages is None:
            end = whole_minute(snapshot.at)
            start = end - MINUTES * MINUTE
            minutes = self._service.recent_minutes(batch, Window(start, end))
            known = {minute.minute: round(minute.average, 2) for minute in minutes}
            averages = [known.get(start + n * MINUTE) for n in range(MINUTES)]
            snapshot.shared["averages", batch.no] = averages
        return averages


def _changed(told: Averages, now: Averages) -> Averages:
    """The end of ``now`` from the first that differs from ``told``; both begin together."""
    for i, average in enumerate(now):
        if i >= len(told) or told[i] != average:
            return now[i:]
    return []
