"""The catalog: all batches in memory, with their latest runs and counters."""

from __future__ import annotations

import re

from solo_app.batches.errors import BatchNotFoundError, InvalidBatchIdError
from solo_app.batches.models import Batch, BatchCounter, BatchStatus

BATCH_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""A valid batch id, as an ECMA-262 regular expression for OpenAPI."""

_BATCH_ID = re.compile(BATCH_ID_PATTERN)

_NO_POINTS = BatchCounter(0, 0)


def check_batch_id(batch_id: str) -> None:
    """Raise InvalidBatchIdError if the id is not valid."""
    if not _BATCH_ID.fullmatch(batch_id):
        raise InvalidBatchIdError(batch_id)


class Catalog:
    """All batches by id."""

    def __init__(self) -> None:
        self._batches: dict[str, Batch] = {}
        self._newest_first: list[Batch] | None = None
        self._counters: dict[int, BatchCounter] = {}
        self._free_number = 1
        self.row_count = 0
        self.revision = 0
        """Increases with each change of a batch."""

    def __len__(self) -> int:
        return len(self._batches)

    def upsert(self, batch: Batch) -> None:
        """Add or replace a batch."""
        self._batches[batch.batch_id] = batch
        self._newest_first = None
        self.revision += 1

    def remove(self, batch: Batch) -> BatchCounter:
        """Remove a batch. Returns the counter of its points."""
        del self._batches[batch.batch_id]
        counter = self._counters.pop(batch.no, _NO_POINTS)
        self.row_count -= counter.row_count
        self._newest_first = None
        self._free_number = 1
        self.revision += 1
        return counter

    def add_points(self, batch_no: int, points: BatchCounter) -> None:
        """Add committed points of a batch to its counter."""
        row_count = self.counter(batch_no).row_count + points.row_count
        self._counters[batch_no] = BatchCounter(row_count, points.last_seq)
        self.row_count += points.row_count

    def counter(self, batch_no: int) -> BatchCounter:
        """Return the counter of the committed points of a batch."""
        return self._counters.get(batch_no, _NO_POINTS)

    def get(self, batch_id: str) -> Batch:
        """Raises BatchNotFoundError."""
        try:
            return self._batches[batch_id]
        except KeyError:
            raise BatchNotFoundError(batch_id) from None

    def find(self, batch_id: str) -> Batch | None:
        """Return a batch, None if it does not exist."""
        return self._batches.get(batch_id)

    def suggest_name(self) -> str:
        """Return the first unused name of ``batch-1``, ``batch-2``, ..."""
        while f"batch-{self._free_number}" in self._batches:
            self._free_number += 1
        return f"batch-{self._free_number}"

    def select(self, status: BatchStatus | None, search: str) -> list[Batch]:
        """Return batches by status and text in the id (ignoring case), most recent start first."""
        if self._newest_first is None:
            self._newest_first = sorted(
                self._batches.values(), key=lambda b: (b.run.started_at, b.no), reverse=True
            )
        wanted = search.casefold()
        return [
            batch
            for batch in self._newest_first
            if (status is None or batch.status is status) and wanted in batch.batch_id.casefold()
        ]
