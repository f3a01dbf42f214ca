"""Many readers of the event streams, and what each of them got.

Meant for a process of its own, so that what reading costs does not count for who sends.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bench.app import raise_file_limit
from solo_app.config import HOST

_EVENT = re.compile(rb'data: \{"seq": (\d+), "ts": "([^"]+)"')

GRACE = 1.0
"""Seconds that the last point has to arrive; later, it counts as missing."""


@dataclass(frozen=True, slots=True)
class Read:
    """What all readers got of the points that were produced within the time that counts.

    ``delays`` are milliseconds from produced to received, one for each point of each reader;
    ``due`` is how many there should be.
    """

    delays: list[float]
    due: int

    @property
    def delivered(self) -> float:
        """Percent of what was due that arrived, each point counted once."""
        return 100 * len(self.delays) / self.due


@dataclass
class _Reader:
    batch_id: str
    delays: dict[int, float] = field(default_factory=dict)


def read(port: int, batch_ids: Sequence[str], readers: int, settle: float, seconds: float) -> Read:
    """Open so many streams, evenly over the batches, let them settle, then count; blocks."""
    raise_file_limit()
    return asyncio.run(_read(port, batch_ids, readers, settle, seconds))


async def _read(
    port: int, batch_ids: Sequence[str], readers: int, settle: float, seconds: float
) -> Read:
    began = time.time() + settle
    all_readers = [_Reader(batch_ids[number % len(batch_ids)]) for number in range(readers)]
    async with asyncio.TaskGroup() as group:
        for reader in all_readers:
            group.create_task(_follow(port, reader, began, began + seconds))
    delays = [delay for reader in all_readers for delay in reader.delays.values()]
    return Read(delays, _due(all_readers))


def _due(readers: Sequence[_Reader]) -> int:
    """How many points all readers together should have: every point that any of them got, or
    that lies between two such, for every reader of its batch."""
    seqs: defaultdict[str, set[int]] = defaultdict(set)
    for reader in readers:
        seqs[reader.batch_id] |= reader.delays.keys()
    return sum(
        max(seqs[reader.batch_id]) - min(seqs[reader.batch_id]) + 1
        for reader in readers
        if seqs[reader.batch_id]
    )


async def _follow(port: int, reader: _Reader, began: float, end: float) -> None:
    asked = f"GET /stream/{reader.batch_id} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
    stream, writer = await asyncio.open_connection(HOST, port)
    writer.write(asked.encode())
    try:
        async with asyncio.timeout(end + GRACE - time.time()):
            while line := await stream.readline():
                if event := _EVENT.match(line):
                    _note(reader, event, began, end)
    except TimeoutError:
        pass
    finally:
        writer.close()


def _note(reader: _Reader, event: re.Match[bytes], began: float, end: float) -> None:
    now = time.time()
    produced = datetime.fromisoformat(event[2].decode()).replace(tzinfo=UTC).timestamp()
    if began <= produced < end:
        seq = int(event[1])
        assert seq not in reader.delays, f"{reader.batch_id} sent {seq} twice"
        reader.delays[seq] = (now - produced) * 1000
