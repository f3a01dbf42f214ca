"""The service against a model of it in plain Python: start, stop, fail, restart, ask, anyhow."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
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
    BatchNotFoundError,
    BatchRunningError,
    InvalidBatchIdError,
)
from solo_app.batches.minutes import start_of_minute
from solo_app.batches.models import MINUTE, BatchStatus
from solo_app.batches.runner import BATCH_LIMIT
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.integrity import check_integrity
from tests.helpers.service import FakeClock, wait_until

T = TypeVar("T")
Line = list[float] | Exception | None

names = st.sampled_from([f"b{n}" for n in range(8)])
numbers = st.lists(st.integers(-1000, 1000).map(float), min_size=1, max_size=5)


@dataclass
class Life:
    """What the model knows of one batch. A point is its number and the time it was given."""

    no: int
    started: datetime = datetime.min
    runs: list[tuple[BatchStatus, str | None]] = field(default_factory=list)
    points: list[tuple[float, datetime]] = field(default_factory=list)
    hand: asyncio.Queue[Line] | None = None

    @property
    def status(self) -> BatchStatus:
        return self.runs[-1][0]

    def end(self, status: BatchStatus, reason: str | None = None) -> None:
        self.runs[-1] = (status, reason)
        self.hand = None


class ServiceAndModel(RuleBasedStateMachine):
    """Does the same to both."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Path(self.folder.name) / "solo.duckdb"
        self.clock = FakeClock("2026-06-15 12:00:30")
        self.hands: list[asyncio.Queue[Line]] = []
        self.lives: dict[str, Life] = {}
        self.slots: list[str] = []
        self.service = self.opened(resume=False)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, 20))

    def opened(self, resume: bool) -> BatchService:
        service = BatchService(DuckDBStore(self.database), {"random": self.by_hand}, self.clock)
        self.do(service.open(resume))
        return service

    async def by_hand(self) -> AsyncIterator[Numbers]:
        """A source that gives what a rule hands it."""
        hand: asyncio.Queue[Line] = asyncio.Queue()
        self.hands.append(hand)
        while (line := await hand.get()) is not None:
            if isinstance(line, Exception):
                raise line
            for number in line:
                yield number

    def started(self, name: str) -> None:
        """Note a start in the model, and take the new source in hand."""
        self.do(wait_until(lambda: self.hands))
        life = self.lives.setdefault(name, Life(len(self.lives)))
        life.started = self.clock.now
        life.runs.append((BatchStatus.RUNNING, None))
        life.hand = self.hands.pop(0)
        self.slots.append(name)

    def newest_first(self) -> list[str]:
        def age(name: str) -> tuple[datetime, int]:
            return self.lives[name].started, self.lives[name].no

        return sorted(self.lives, key=age, reverse=True)

    @rule(seconds=st.integers(1, 90))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    @rule(name=names)
    def start(self, name: str) -> None:
        self.clock.advance(seconds=1)
        if name in self.slots:
            with pytest.raises(BatchRunningError):
                self.do(self.service.start(name))
        elif len(self.slots) == BATCH_LIMIT:
            with pytest.raises(BatchLimitReachedError) as refused:
                self.do(self.service.start(name))
            assert refused.value.running == self.slots
        else:
            self.do(self.service.start(name))
            self.started(name)

    @rule(name=st.sampled_from(["", "a b", "-", "a" * 65]))
    def start_what_is_no_name(self, name: str) -> None:
        with pytest.raises(InvalidBatchIdError):
            self.do(self.service.start(name))

    @rule(name=names)
    def stop(self, name: str) -> None:
        if name not in self.lives:
            with pytest.raises(BatchNotFoundError):
                self.do(self.service.stop(name))
            return
        self.do(self.service.stop(name))
        if name in self.slots:
            self.lives[name].end(BatchStatus.STOPPED)
            self.slots.remove(name)

    @precondition(lambda self: self.slots)
    @rule(data=st.data(), given=numbers)
    def give(self, data: st.DataObject, given: list[float]) -> None:
        life = self.lives[data.draw(st.sampled_from(self.slots))]
        assert life.hand
        life.hand.put_nowait(given)
        life.points += [(number, self.clock.now) for number in given]
        expected = sum(len(other.points) for other in self.lives.values())
        self.do(wait_until(lambda: self.service.totals().row_count == expected))

    @precondition(lambda self: self.slots)
    @rule(data=st.data(), last=st.sampled_from([RuntimeError("no luck"), [float("nan")], None]))
    def end_by_itself(self, data: st.DataObject, last: Line) -> None:
        name = data.draw(st.sampled_from(self.slots))
        life = self.lives[name]
        assert life.hand
        life.hand.put_nowait(last)
        self.do(wait_until(lambda: name not in [b.batch_id for b in self.service.running()]))
        if last is None:
            life.end(BatchStatus.FINISHED)
        else:
            told = "RuntimeError: no luck" if isinstance(last, Exception) else "nan"
            life.end(BatchStatus.FAILED, told)
        self.slots.remove(name)

    @rule(resume=st.booleans())
    def restart(self, resume: bool) -> None:
        self.do(self.service.close())
        for name in self.slots:
            self.lives[name].end(BatchStatus.INTERRUPTED)
        self.slots = []
        self.hands = []
        self.clock.advance(seconds=1)
        again = [name for name in self.newest_first() if self.lives[name].status == "interrupted"][
            : BATCH_LIMIT if resume else 0
        ]
        self.service = self.opened(resume)
        for name in again:
            self.started(name)

    @precondition(lambda self: self.lives)
    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.lives)))
        life = self.lives[name]
        points = self.do(self.service.points(name, 0, 10_000))
        assert [(p.key, p.ts) for p in points] == life.points
        assert [p.seq for p in points] == list(range(1, len(points) + 1))
        runs = self.do(self.service.runs(name))
        assert [run.number for run in reversed(runs)] == list(range(1, len(life.runs) + 1))
        for run, (status, reason) in zip(reversed(runs), life.runs, strict=True):
            assert run.status is status
            assert (reason or "") in (run.reason or "")
            assert (reason is None) is (run.reason is None)
        for minute in {start_of_minute(ts) for _, ts in life.points}:
            keys = [key for key, ts in life.points if start_of_minute(ts) == minute]
            told = self.do(self.service.aggregate(name, minute + MINUTE)).minute
            assert told is not None
            assert (told.count, told.sum, told.min, told.max) == (
                len(keys),
                sum(keys),
                min(keys),
                max(keys),
            )

    @invariant()
    def what_is_shown_is_what_is(self) -> None:
        totals = self.service.totals()
        assert totals.running_count == len(self.slots)
        assert totals.batch_count == len(self.lives)
        assert totals.row_count == sum(len(life.points) for life in self.lives.values())
        assert totals.write_error is None
        assert [batch.batch_id for batch in self.service.running()] == self.slots
        shown = [(batch.batch_id, batch.status) for batch in self.service.batches()]
        assert shown == [(name, self.lives[name].status) for name in self.newest_first()]
        producers = [t for t in asyncio.all_tasks(self.loop) if "producer:" in t.get_name()]
        assert len(producers) == len(self.slots)

    def teardown(self) -> None:
        self.do(self.service.close())
        if self.lives:
            kept = check_integrity(self.database)
            assert {name: batch.points for name, batch in kept.items()} == {
                name: len(life.points) for name, life in self.lives.items()
            }
        self.loop.close()
        self.folder.cleanup()


def test_the_service_does_what_the_model_does(rounds: int) -> None:
    run_state_machine_as_test(
        ServiceAndModel,
        settings=settings(max_examples=rounds, stateful_step_count=40, deadline=None),
    )
