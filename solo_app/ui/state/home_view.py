"""The values of the home page that all viewers share, from a snapshot."""

from __future__ import annotations

from typing import TypedDict

from solo_app.batches.runner import BATCH_LIMIT
from solo_app.batches.snapshots import Snapshot
from solo_app.ui import text
from solo_app.ui.state.live_updates import app_status
from solo_app.ui.state.values import Values


class Slot(TypedDict):
    """A slot and the batch that runs in it; ``batch_id`` is empty if the slot is free.

    ``latest`` is the latest value of the current run, ``recent`` the latest values of all runs.
    ``is_retrying`` is true while the source is being restarted.
    """

    batch_id: str
    is_retrying: bool
    unit: str
    latest: float | None
    row_count: int
    recent: list[float]


_FREE_SLOT: Slot = {
    "batch_id": "",
    "is_retrying": False,
    "unit": "",
    "latest": None,
    "row_count": 0,
    "recent": [],
}


def home_values(snapshot: Snapshot) -> Values:
    """Return the values of ``HomeState`` that all viewers share."""
    values: Values | None = snapshot.derived.get("home")
    if values is None:
        totals = snapshot.totals
        values = snapshot.derived["home"] = {
            **app_status(snapshot),
            "is_loaded": True,
            "is_empty": totals.batch_count == 0,
            "title": text.home_title(totals.running_count),
            "row_count": totals.row_count,
            "rows_per_second": round(totals.rows_per_second, 1),
            "running_count": totals.running_count,
            "throughput": snapshot.throughput,
            "slots": _slots(snapshot),
            "suggested_name": snapshot.suggested_name,
        }
    return values


def _slots(snapshot: Snapshot) -> list[Slot]:
    slots = [_FREE_SLOT] * BATCH_LIMIT
    for running in snapshot.running:
        points = running.recent.points
        is_current = points and points[-1].seq >= running.batch.run.first_seq
        slots[running.slot] = {
            "batch_id": running.batch.batch_id,
            "is_retrying": running.retry is not None,
            "unit": running.batch.labels.unit,
            "latest": points[-1].key if is_current else None,
            "row_count": running.row_count,
            "recent": [point.key for point in points],
        }
    return slots
