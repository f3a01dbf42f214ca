"""Which ticks of open pages count as missing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

pytest.importorskip("psutil", reason="the benchmarks need requirements-dev.txt")

from bench.page_clients import Seen, Watched, _Page

pytestmark = pytest.mark.anyio

BATCH = "/batch/b"


def seen(*ticks: tuple[float, int]) -> Seen:
    """A page that was told at these milliseconds of so many points."""
    moments, newest = [at for at, _ in ticks], [number for _, number in ticks]
    return Seen(BATCH, moments, newest, delays=[1.0] * len(ticks))


def delivered(*pages: Seen) -> float:
    return Watched(0, 1, list(pages), apart=0.5).delivered


def test_a_page_that_was_not_told_what_another_knew_lacks_ticks() -> None:
    others = [seen(*((at, at) for at in range(phase, 5_000, 250))) for phase in (0, 100)]
    assert delivered(*others) == 100
    left_out = seen(*((at, at) for at in range(50, 5_000, 250) if not 1_000 < at < 2_000))
    assert delivered(*others, left_out) == pytest.approx(100 * 56 / 57)


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
    assert delivered(seen((0, 7), (1_000, 7), (2_000, 7))) == 100
    assert delivered(seen((0, 7), (1_000, 7), (4_000, 7))) == 75


def told(path: str, *ticks: Sequence[object]) -> int:
    """The gaps in what a page is told."""
    page = _Page(8000, path)
    for tick in ticks:
        page._note(list(tick), 100, 0.0)
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
