"""Which ticks of open pages count as missing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

pytest.importorskip("psutil", reason="the benchmarks need requirements-dev.txt")

from solo_app.batches.live import TICK, Ticker, next_moment, phase_of

from bench.page_clients import Seen, Watched, _Page
from solo_app.batches.service import BatchService
from solo_app.storage.duckdb.store import DuckDBStore

pytestmark = pytest.mark.anyio

BATCH = "/batch/b"


def seen(*ticks: tuple[float, int]) -> Seen:
    """A page that was told at these milliseconds of so many points."""
    moments, newest = [at for at, _ in ticks], [number for _, number in ticks]
    return Seen(BATCH, 1, moments, newest, received=[at / 1000 for at in moments[1:]])


def delivered(*pages: Seen, ended: float = 5) -> float:
    return Watched(0, ended, list(pages), interval=TICK).delivered


@pytest.mark.parametrize("number", [1, 2, 1_000])
def test_delays_count_from_when_ticks_were_due(number: int) -> None:
    due = next_moment(70_000, phase_of(number), 1)
    received = [due + n + late for n, late in enumerate((0.004, 0.003, 0.85, 0.010))]
    page = Seen(BATCH, number, received=received, ages=[1, 1, 1, 20])
    assert Watched(0, 4, [page], interval=1).delays == pytest.approx([4, 3, 850, 20])


async def test_a_page_that_is_always_late_is_always_late() -> None:
    service = BatchService(DuckDBStore(Path("unused.duckdb")), {})
    page = Seen(BATCH)
    async with aclosing(Ticker(service).ticks()) as ticks:
        await anext(ticks)
        for _ in range(3):
            await anext(ticks)
            await asyncio.sleep(0.1)
            page.received.append(asyncio.get_running_loop().time())
            page.ages.append(0)
    assert min(Watched(0, 1, [page], interval=TICK).delays) >= 100


def test_a_page_that_falls_silent_or_says_nothing_at_all_lacks_ticks() -> None:
    lively = seen(*((at, at) for at in range(0, 5_001, 250)))
    silent = seen(*((at, at) for at in range(0, 3_001, 250)))
    mute = seen((0, 0))
    assert delivered(lively) == 100
    assert delivered(lively, silent) < 95
    assert delivered(lively, mute) < 75


def test_a_page_that_was_not_told_what_another_knew_lacks_ticks() -> None:
    others = [seen(*((at, at) for at in range(phase, 5_000, 250))) for phase in (0, 100)]
    assert delivered(*others) == 100
    left_out = seen(*((at, at) for at in range(50, 5_000, 250) if not 1_000 < at < 2_000))
    assert delivered(*others, left_out) == pytest.approx(100 * 53 / 54)


def test_a_page_lacks_nothing_while_there_is_nothing_to_tell() -> None:
    def committed(at: int) -> int:
        return 1_000 if 1_000 <= at < 2_200 else at

    pages = [
        seen(*((at, committed(at)) for at in moments if committed(at) > committed(at - 250)))
        for moments in (range(0, 5_000, 250), range(100, 5_000, 250))
    ]
    assert [len(page.moments) for page in pages] == [16, 16]
    assert delivered(*pages) == 100


def test_the_time_is_told_also_while_there_is_nothing_else() -> None:
    assert delivered(seen((0, 7), (1_000, 7), (2_000, 7)), ended=3) == 100
    assert delivered(seen((0, 7), (1_000, 7), (4_000, 7))) == pytest.approx(100 * 2 / 3)


def told(path: str, *ticks: Sequence[object]) -> int:
    """The gaps in what a page is told."""
    page = _Page(8000, path)
    for tick in ticks:
        page._note(list(tick), 0.0)
    return page.seen.gaps


async def test_a_lost_tick_of_a_slow_batch_is_seen_by_its_points() -> None:
    ticks = [(n, 4, n, 0, [0], [5], n) for n in range(1, 6)]
    assert told(BATCH, *ticks) == 0
    assert told(BATCH, *ticks[:2], *ticks[3:]) == 1


async def test_a_lost_tick_of_a_fast_batch_is_seen_by_its_line() -> None:
    ticks = [
        (n, 9_000, n * 1_000, 1, [0] * 10, [5] * 10, 60, (n - 1) * 1_000, [0, 1], [0, 100])
        for n in range(1, 6)
    ]
    assert told(BATCH, *ticks) == 0
    assert told(BATCH, *ticks[:2], *ticks[3:]) == 1


async def test_a_lost_tick_of_the_first_page_is_seen_by_its_seconds_and_trends() -> None:
    ticks = [(n, n, 4, n, [4], [[n, [5]]]) for n in range(1, 6)]
    assert told("/", *ticks) == 0
    assert told("/", *ticks[:2], *ticks[3:]) == 1
