"""The service compared with a model in plain Python, over random sequences of actions."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest

pytest.importorskip("hypothesis", reason="property tests need requirements-dev.txt")
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from solo_app.batches.errors import (
    BatchLimitReachedError,
    BatchNotEndedError,
    BatchNotFoundError,
    BatchRunningError,
    InvalidBatchIdError,
)
from solo_app.batches.minutes import start_of_minute
from solo_app.batches.models import MINUTE, BatchStatus, RestartPolicy
from solo_app.batches.runner import BATCH_LIMIT
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers
from solo_app.batches.timing import Timing
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.integrity import check_integrity
from tests.helpers.service import FakeClock, simple_kinds, wait_until

T = TypeVar("T")
Line = list[float] | Exception | None

LAST_LINES = {
    BatchStatus.RUNNING: "Started",
    BatchStatus.STOPPED: "Stopped",
    BatchStatus.FINISHED: "Finished",
    BatchStatus.INTERRUPTED: "Interrupted",
}
"""The first word of the last log line by status."""

names = st.sampled_from([f"b{n}" for n in range(8)])
numbers = st.lists(st.integers(-1000, 1000).map(float), min_size=1, max_size=5)


@dataclass
class BatchModel:
    """The model of a batch. A point is a number and its time."""

    no: int
    started: datetime = datetime.min
    runs: list[tuple[BatchStatus, str | None]] = field(default_factory=list)
    points: list[tuple[float, datetime]] = field(default_factory=list)
    feed: asyncio.Queue[Line] | None = None
    restart: RestartPolicy = RestartPolicy.NEVER
    last_line: str = ""

    @property
    def status(self) -> BatchStatus:
        return self.runs[-1][0]

    def end(self, status: BatchStatus, reason: str | None = None) -> None:
        self.runs[-1] = (status, reason)
        self.feed = None
        self.last_line = LAST_LINES.get(status, reason or "")


class ServiceAndModel(RuleBasedStateMachine):
    """Applies each action to the service and to the model."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Path(self.folder.name) / "solo.duckdb"
        self.clock = FakeClock("2026-06-15 12:00:30")
        self.feeds: list[asyncio.Queue[Line]] = []
        self.batches: dict[str, BatchModel] = {}
        self.numbers = count(1)
        self.slots: list[str] = []
        self.service = self.open_service(resume=False)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, 20))

    def open_service(self, resume: bool) -> BatchService:
        service = BatchService(
            DuckDBStore(self.database),
            simple_kinds({"random": self.read_feed}),
            self.clock,
            timing=Timing(restart_delay=0.001, max_restart_delay=0.001),
        )
        self.do(service.open(resume))
        return service

    async def read_feed(self) -> AsyncIterator[Numbers]:
        """A source that yields the numbers of the rules."""
        feed: asyncio.Queue[Line] = asyncio.Queue()
        self.feeds.append(feed)
        while (line := await feed.get()) is not None:
            if isinstance(line, Exception):
                raise line
            for number in line:
                yield number

    def record_start(self, name: str) -> None:
        """Record a start in the model, and connect it to the new source."""
        if name not in self.batches:
            self.batches[name] = BatchModel(next(self.numbers))
        batch_model = self.batches[name]
        batch_model.last_line = LAST_LINES[BatchStatus.RUNNING]
        batch_model.started = self.clock.now
        batch_model.runs.append((BatchStatus.RUNNING, None))
        self.connect(batch_model)
        self.slots.append(name)

    def connect(self, batch_model: BatchModel) -> None:
        """Connect the model of a batch to its new source."""
        self.do(wait_until(lambda: self.feeds))
        batch_model.feed = self.feeds.pop(0)

    def newest_first(self) -> list[str]:
        def age(name: str) -> tuple[datetime, int]:
            return self.batches[name].started, self.batches[name].no

        return sorted(self.batches, key=age, reverse=True)

    @rule(seconds=st.integers(1, 90))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    @rule(name=names, restart=st.sampled_from([None, *RestartPolicy]))
    def start(self, name: str, restart: RestartPolicy | None) -> None:
        self.clock.advance(seconds=1)
        if name in self.slots:
            with pytest.raises(BatchRunningError):
                self.do(self.service.start(name))
        elif len(self.slots) == BATCH_LIMIT:
            with pytest.raises(BatchLimitReachedError) as refused:
                self.do(self.service.start(name))
            assert refused.value.running == self.slots
        else:
            self.do(self.service.start(name, restart=restart))
            self.record_start(name)
            if restart:
                self.batches[name].restart = restart

    @rule(name=st.sampled_from(["", "a b", "-", "a" * 65]))
    def start_with_an_invalid_name(self, name: str) -> None:
        with pytest.raises(InvalidBatchIdError):
            self.do(self.service.start(name))

    @rule(name=names)
    def stop(self, name: str) -> None:
        if name not in self.batches:
            with pytest.raises(BatchNotFoundError):
                self.do(self.service.stop(name))
            return
        self.do(self.service.stop(name))
        if name in self.slots:
            self.batches[name].end(BatchStatus.STOPPED)
            self.slots.remove(name)

    @rule(name=names)
    def delete(self, name: str) -> None:
        if name not in self.batches:
            with pytest.raises(BatchNotFoundError):
                self.do(self.service.delete(name))
        elif name in self.slots:
            with pytest.raises(BatchNotEndedError):
                self.do(self.service.delete(name))
        else:
            self.do(self.service.delete(name))
            del self.batches[name]

    @precondition(lambda self: self.slots)
    @rule(data=st.data(), values=numbers)
    def produce(self, data: st.DataObject, values: list[float]) -> None:
        batch_model = self.batches[data.draw(st.sampled_from(self.slots))]
        assert batch_model.feed
        batch_model.feed.put_nowait(values)
        batch_model.points += [(number, self.clock.now) for number in values]
        if batch_model.last_line == "Restarting":
            batch_model.last_line = "Reading again"
        expected = sum(len(other.points) for other in self.batches.values())
        self.do(wait_until(lambda: self.service.totals().row_count == expected))

    @precondition(lambda self: self.slots)
    @rule(data=st.data(), last=st.sampled_from([RuntimeError("sensor lost"), [float("nan")], None]))
    def end_source(self, data: st.DataObject, last: Line) -> None:
        name = data.draw(st.sampled_from(self.slots))
        batch_model = self.batches[name]
        assert batch_model.feed
        batch_model.feed.put_nowait(last)
        if last is not None and batch_model.restart is RestartPolicy.ON_FAILURE:
            self.connect(batch_model)
            batch_model.last_line = "Restarting"
            return
        self.do(wait_until(lambda: name not in [b.batch_id for b in self.service.running()]))
        if last is None:
            batch_model.end(BatchStatus.FINISHED)
        else:
            reason = "RuntimeError: sensor lost" if isinstance(last, Exception) else "nan"
            batch_model.end(BatchStatus.FAILED, reason)
        self.slots.remove(name)

    @rule(resume=st.booleans())
    def restart(self, resume: bool) -> None:
        self.do(self.service.close())
        for name in self.slots:
            self.batches[name].end(BatchStatus.INTERRUPTED)
        self.slots = []
        self.feeds = []
        self.clock.advance(seconds=1)
        again = [
            name for name in self.newest_first() if self.batches[name].status == "interrupted"
        ][: BATCH_LIMIT if resume else 0]
        self.service = self.open_service(resume)
        for name in again:
            self.record_start(name)

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.batches)))
        batch_model = self.batches[name]
        points = self.do(self.service.points(name, 0, 10_000))
        assert [(p.key, p.ts) for p in points] == batch_model.points
        assert [p.seq for p in points] == list(range(1, len(points) + 1))
        log = self.do(self.service.log(name))
        assert [line.number for line in log] == list(range(1, len(log) + 1))
        assert batch_model.last_line in log[-1].text
        assert log[-1].run == len(batch_model.runs)
        runs = self.do(self.service.runs(name))
        assert [run.number for run in reversed(runs)] == list(range(1, len(batch_model.runs) + 1))
        for run, (status, reason) in zip(reversed(runs), batch_model.runs, strict=True):
            assert run.status is status
            assert (reason or "") in (run.reason or "")
            assert (reason is None) is (run.reason is None)
        for minute in {start_of_minute(ts) for _, ts in batch_model.points}:
            keys = [key for key, ts in batch_model.points if start_of_minute(ts) == minute]
            aggregate = self.do(self.service.aggregate(name, minute + MINUTE)).minute
            assert aggregate is not None
            assert (aggregate.count, aggregate.sum, aggregate.min, aggregate.max) == (
                len(keys),
                sum(keys),
                min(keys),
                max(keys),
            )

    @invariant()
    def totals_and_lists_agree(self) -> None:
        totals = self.service.totals()
        assert totals.running_count == len(self.slots)
        assert totals.batch_count == len(self.batches)
        assert totals.row_count == sum(
            len(batch_model.points) for batch_model in self.batches.values()
        )
        assert totals.write_error is None
        assert [batch.batch_id for batch in self.service.running()] == self.slots
        listed = [(batch.batch_id, batch.status) for batch in self.service.batches()]
        assert listed == [(name, self.batches[name].status) for name in self.newest_first()]
        producers = [t for t in asyncio.all_tasks(self.loop) if "producer:" in t.get_name()]
        assert len(producers) == len(self.slots)

    def teardown(self) -> None:
        self.do(self.service.close())
        if self.batches:
            stored = check_integrity(self.database)
            assert {name: batch.points for name, batch in stored.items()} == {
                name: len(batch_model.points) for name, batch_model in self.batches.items()
            }
        self.loop.close()
        self.folder.cleanup()


def test_service_agrees_with_the_model(rounds: int) -> None:
    run_state_machine_as_test(
        ServiceAndModel,
        settings=settings(max_examples=rounds, stateful_step_count=40, deadline=None),
    )
