"""All batches that ever were, in memory: their latest runs and how many points they have."""

from __future__ import annotations

import re

from solo_app.batches.errors import BatchNotFoundError, InvalidBatchIdError
from solo_app.batches.model import Batch, BatchCounter, BatchStatus

BATCH_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""What names a batch, as a regular expression of ECMA 262 for those who read the API."""

_BATCH_ID = re.compile(BATCH_ID_PATTERN)

_NO_POINTS = BatchCounter(0, 0)


def check_batch_id(batch_id: str) -> None:
    """Raise InvalidBatchIdError unless the text may name a batch."""
    if not _BATCH_ID.fullmatch(batch_id):
        raise InvalidBatchIdError(batch_id)


class Catalog:
    """Every batch by its name; quick to search with ten thousand of them."""

    def __init__(self) -> None:
        self._batches: dict[str, Batch] = {}
        self._newest_first: list[Batch] | None = None
        self._counters: dict[int, BatchCounter] = {}
        self._free_number = 1
        self.row_count = 0
        self.revision = 0
        """Changes whenever a batch starts or ends, so that a list of them need not be asked for."""

    def __len__(self) -> int:
        return len(self._batches)

    def keep(self, batch: Batch) -> None:
        """Take a batch in, or what became of it."""
        self._batches[batch.batch_id] = batch
        self._newest_first = None
        self.revision += 1

    def add_points(self, batch_no: int, points: BatchCounter) -> None:
        """Count committed points of a batch, given their number and the last ``seq``."""
        row_count = self.counter(batch_no).row_count + points.row_count
        self._counters[batch_no] = BatchCounter(row_count, points.last_seq)
        self.row_count += points.row_count

    def counter(self, batch_no: int) -> BatchCounter:
        """How many committed points a batch has, and the last ``seq`` of them."""
        return self._counters.get(batch_no, _NO_POINTS)

    def find(self, batch_id: str) -> Batch:
        """One batch. Raises BatchNotFoundError."""
        try:
            return self._batches[batch_id]
        except KeyError:
            raise BatchNotFoundError(batch_id) from None

    def get(self, batch_id: str) -> Batch | None:
        """One batch; None when there never was one of that name."""
        return self._batches.get(batch_id)

    def free_name(self) -> str:
        """The first of ``batch-1``, ``batch-2``, ... that no batch has; names are never freed."""
        while f"batch-{self._free_number}" in self._batches:
            self._free_number += 1
        return f"batch-{self._free_number}"

    def select(self, status: BatchStatus | None, search: str) -> list[Batch]:
        """Those of a status whose name holds a text, whatever its case, newest run first."""
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
