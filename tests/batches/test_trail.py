"""The line of the last minute: true extremes, few vertices, and the same out of the store."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from solo_app.batches.backoff import ReadBackoff
from solo_app.batches.model import STEP_US, Block, Step, Vertex, to_microseconds
from solo_app.batches.trail import Trail, Trails
from solo_app.storage.duckdb.store import DuckDBStore
from tests.workbench import HandClock, Script, open_service, until

BEGIN = to_microseconds(datetime(2012, 11, 11, 10, 10))
SECOND = 1_000_000


def block(first_seq: int, ts: list[int], keys: list[float]) -> Block:
    """Points at so many microseconds after ``BEGIN``."""
    return Block(1, first_seq, np.array(ts) + BEGIN, np.array(keys, float))


def blocks(count: int, length: int, pace: int) -> list[Block]:
    """Random points, so many microseconds from one to the next, in blocks of equal length."""
    keys = np.random.default_rng(1).integers(0, 1_000, count).astype(float)
    ts = range(0, count * pace, pace)
    return [
        block(i + 1, [*ts[i : i + length]], keys[i : i + length].tolist())
        for i in range(0, count, length)
    ]


def extremes(points: list[Block]) -> dict[int, tuple[int, float, float]]:
    """Count, lowest and highest of each step, worked out one point at a time."""
    found: dict[int, tuple[int, float, float]] = {}
    for part in points:
        for ts, key in zip(part.ts.tolist(), part.key.tolist(), strict=True):
            count, low, high = found.get(ts // STEP_US, (0, key, key))
            found[ts // STEP_US] = count + 1, min(low, key), max(high, key)
    return found


def told(steps: list[Step]) -> dict[int, tuple[int, float, float]]:
    return {step.number: (step.count, step.low.key, step.high.key) for step in steps}


def trail_of(points: list[Block]) -> Trail:
    trail = Trail(1)
    for part in points:
        trail.add(part)
    return trail


@pytest.mark.parametrize("length", [1, 7, 400, 6_000])
def test_every_step_has_its_count_its_lowest_and_its_highest(length: int) -> None:
    points = blocks(6_000, length, pace=9_000)
    assert told(trail_of(points).since(0)) == extremes(points)


def test_two_points_in_a_step_are_both_vertices_also_when_they_are_equal() -> None:
    for one, two in ((5.0, 5.0), (5.0, 4.0), (4.0, 5.0)):
        at_once = [block(1, [0, 9], [one, two])]
        one_by_one = [block(1, [0], [one]), block(2, [9], [two])]
        for points in (at_once, one_by_one):
            (step,) = trail_of(points).since(0)
            assert step.vertices == (Vertex(one, 1, BEGIN), Vertex(two, 2, BEGIN + 9))


def test_the_line_never_has_more_than_two_vertices_a_step_nor_more_than_its_minute() -> None:
    trail = trail_of(blocks(200_000, 1_000, pace=600))  # Two minutes.
    assert 240 <= len(trail.since(0)) <= 242
    assert all(len(step.vertices) <= 2 for step in trail.since(0))


def test_the_last_point_before_the_minute_is_kept_however_long_ago() -> None:
    trail = trail_of([block(1, [0], [1]), block(2, [SECOND], [2]), block(3, [900 * SECOND], [3])])
    assert [step.last_seq for step in trail.since(0)] == [2, 3]
    assert trail.count(BEGIN + 901 * SECOND) == 1
    assert trail.count(BEGIN + 960 * SECOND) == 0


def test_only_the_steps_that_changed_are_news() -> None:
    trail = trail_of(blocks(100, 10, pace=50_000))
    assert trail.since(100) == []
    assert [step.last_seq for step in trail.since(97)] == [100]
    before = trail.before(trail.since(97)[0])
    assert before
    assert before.seq <= 95


def test_points_from_a_clock_that_went_back_stand_where_their_times_are() -> None:
    there = [block(1, [10 * SECOND, 11 * SECOND], [1, 2]), block(3, [9 * SECOND], [3])]
    steps = trail_of(there).since(0)
    assert [step.last_seq for step in steps] == [3, 1, 2]
    assert trail_of(there).since(2) == steps
    assert [s.last_seq for s in trail_of([*there, block(4, [-3600 * SECOND], [4])]).since(0)] == [4]


@pytest.mark.anyio
async def test_the_store_tells_the_same_line_as_the_memory(tmp_path: Path) -> None:
    points = blocks(7_000, 700, pace=10_000)
    store = DuckDBStore(tmp_path / "solo.duckdb")
    await store.open()
    await store.write(points, {})
    async with open_service(tmp_path / "other.duckdb") as service:
        batch = await service.start("b")
    trail = await Trails(store, ReadBackoff()).of(batch, 7_000, int(points[-1].ts[-1]))
    assert trail.is_filled
    in_memory = list(told(trail_of(points).since(0)).items())
    in_store = list(told(trail.since(0)).items())
    assert in_store[1:] == in_memory[-len(in_store) + 1 :]
    assert 240 <= len(in_store) <= 242
    assert trail.count(int(points[-1].ts[-1])) == 6_000
    await store.close()


@pytest.mark.anyio
async def test_lines_that_nobody_asks_for_are_forgotten_and_come_out_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solo_app.batches.trail.KEPT", 3)
    clock = HandClock("2012-11-11T10:10:00")
    script = Script(clock)
    async with open_service(tmp_path / "solo.duckdb", clock, script=script) as service:
        for i in range(4):
            batch = await service.start(f"b{i}", "script")
            script.say(clock.now + timedelta(seconds=1), i)
            await until(lambda: service.row_count(batch) == 1)  # noqa: B023
            await service.stop(batch.batch_id)
        first = service.batch("b0")
        trail = await service.trail(first, first.run.ended_at or clock.now)
        assert trail.first_seq == 2  # It was made anew.
        assert [step.low.key for step in trail.since(0)] == [0]
