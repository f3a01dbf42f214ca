"""The logs of the running batches: limits for new lines, and their writes to the store."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from datetime import datetime

from solo_app.batches.models import LOG_LINES, Batch, Clock, LogLevel, LogLine
from solo_app.batches.storage import Storage
from solo_app.batches.timing import Timing
from solo_app.batches.write_retry import WriteRetry

MAX_LINES_PER_SECOND = 100
"""Further lines of output of a batch are dropped. One line states their number."""

MAX_LINE_LENGTH = 1_000
"""Number of characters to which longer lines are truncated."""

_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
"""A control sequence of a terminal (ECMA-48, 5.4), such as a color."""


class BatchLog:
    """The latest lines of the running batches. The lines of ended batches are only in the store.

    New lines of all batches are written in one transaction every ``Timing.log_delay`` seconds.
    Call all methods on the event loop.
    """

    def __init__(
        self, store: Storage, write_retry: WriteRetry, clock: Clock, timing: Timing
    ) -> None:
        self._store = store
        self._write_retry = write_retry
        self._clock = clock
        self._timing = timing
        self._by_no: dict[int, _RunLog] = {}
        self._writing = asyncio.Lock()

    def open(self, batch: Batch, stored: Sequence[LogLine]) -> None:
        """Open the log of a new run. ``stored`` are the stored lines of its batch."""
        self._by_no[batch.no] = _RunLog(batch.run.number, stored)

    def add(self, batch_no: int, level: LogLevel, text: str) -> None:
        """Add a line to an open log. Output with line breaks becomes several lines."""
        self._by_no[batch_no].add(self._clock(), level, text)

    async def add_to_ended(self, batch: Batch, level: LogLevel, text: str) -> None:
        """Write a line to the log of a batch that has ended. Raises StoreUnavailableError."""
        log = _RunLog(batch.run.number, await self._store.log(batch.no))
        log.add(self._clock(), level, text)
        await self._store.append_log({batch.no: log.unwritten()})

    async def close(self, batch_no: int) -> None:
        """Write the lines of a run that has ended. Retries until it succeeds."""
        await self.flush()
        del self._by_no[batch_no]

    def last_number(self, batch_no: int) -> int:
        """Return the number of the last line of an open log, 0 if it has no lines."""
        return self._by_no[batch_no].last_number

    async def lines(self, batch_no: int) -> list[LogLine]:
        """Return the latest ``LOG_LINES`` lines of a batch. Raises StoreUnavailableError."""
        if log := self._by_no.get(batch_no):
            return [*log.lines]
        return await self._store.log(batch_no)

    async def run(self) -> None:
        """Write new lines periodically until cancelled."""
        while True:
            await asyncio.sleep(self._timing.log_delay)
            for log in self._by_no.values():
                log.start_second(self._clock())
            await self.flush()

    async def flush(self) -> None:
        """Write all lines added before this call. Retries until it succeeds."""
        async with self._writing:
            new = {no: lines for no, log in self._by_no.items() if (lines := log.unwritten())}
            if new:
                await self._write_retry.run(
                    "Write of log lines", lambda: self._store.append_log(new)
                )
            for batch_no, lines in new.items():
                self._by_no[batch_no].written_number = lines[-1].number


class _RunLog:
    """The latest lines of a batch during a run. Numbers continue those of the stored lines."""

    def __init__(self, run_number: int, stored: Sequence[LogLine]) -> None:
        self.lines = deque(stored, maxlen=LOG_LINES)
        self.last_number = self.written_number = stored[-1].number if stored else 0
        self._run_number = run_number
        self._second = datetime.min
        self._lines_in_second = 0
        self._dropped = 0

    def add(self, ts: datetime, level: LogLevel, text: str) -> None:
        self.start_second(ts)
        if level is not LogLevel.OUTPUT:
            self._add_dropped(ts)
            self._append(ts, level, text)
            return
        lines = text.splitlines()
        accepted = lines[: max(0, MAX_LINES_PER_SECOND - self._lines_in_second)]
        self._dropped += len(lines) - len(accepted)
        for line in accepted:
            self._append(ts, level, line)

    def start_second(self, ts: datetime) -> None:
        """Reset the rate if a second has passed."""
        second = ts.replace(microsecond=0)
        if second != self._second:
            self._second, self._lines_in_second = second, 0
            self._add_dropped(ts)

    def unwritten(self) -> list[LogLine]:
        return [line for line in self.lines if line.number > self.written_number]

    def _add_dropped(self, ts: datetime) -> None:
        """Add a line with the number of dropped lines, if there are any."""
        if self._dropped:
            self._append(ts, LogLevel.INFO, f"{self._dropped:,} lines dropped")
            self._dropped = 0

    def _append(self, ts: datetime, level: LogLevel, text: str) -> None:
        self.last_number += 1
        self._lines_in_second += 1
        line = LogLine(self.last_number, ts, self._run_number, level, _clean(text))
        self.lines.append(line)


def _clean(text: str) -> str:
    """Truncate a long line, remove escape sequences, and replace control characters with spaces."""
    text = _ESCAPE_SEQUENCE.sub("", text[: 2 * MAX_LINE_LENGTH])
    if len(text) > MAX_LINE_LENGTH:
        text = text[: MAX_LINE_LENGTH - 1] + "…"
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)
