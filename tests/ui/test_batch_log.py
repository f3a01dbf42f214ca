"""The log and restarts of a batch on its page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from solo_app.batches.models import LOG_LINES
from solo_app.batches.source import Numbers, Parameters, SourceKind
from solo_app.ui.state.batch import BatchState, LogState
from solo_app.ui.state.log_view import FIRST_LINES
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FAST_RETRY, FakeClock, Talker, silent, wait_until
from tests.ui.tabs import Tabs, open_tabs

pytestmark = pytest.mark.anyio


async def refuse() -> AsyncIterator[Numbers]:
    raise ConnectionError("no answer")
    yield 0.0


def shown(log: LogState) -> list[str]:
    return [row["text"] for row in log.rows]


async def open_log(tabs: Tabs, source: str) -> LogState:
    await tabs.service.start("b", source)
    await tabs.open_batch_page("b", "b")
    log: LogState = await tabs.state("b", LogState)
    await wait_until(lambda: log.rows)
    return log


async def test_log_is_shown_live() -> None:
    talker = Talker()
    async with open_tabs(MemoryStorage(), talker=talker.kind) as tabs:
        log = await open_log(tabs, "talker")
        assert shown(log) == ["Started with source talker."]
        talker.log("hello\nworld")
        await wait_until(lambda: shown(log)[1:] == ["hello", "world"])
        await tabs.service.stop("b")
        await wait_until(lambda: shown(log)[3:] == ["Stopped."])
        assert (log.line_count, log.error_count) == (4, 0)


async def test_unchanged_log_is_not_sent_again() -> None:
    talker = Talker()
    async with open_tabs(MemoryStorage(), talker=talker.kind) as tabs:
        await open_log(tabs, "talker")
        sent = len(tabs.deltas["b"])
        await tabs.ticks(3)
        assert len(tabs.deltas["b"]) > sent
        assert not any(tabs.state_deltas("b", LogState)[sent:])


async def test_only_the_latest_lines_are_sent_until_requested() -> None:
    talker, clock = Talker(), FakeClock("2026-03-01 12:00:30")
    async with open_tabs(MemoryStorage(), clock, talker=talker.kind) as tabs:
        log = await open_log(tabs, "talker")
        for _ in range(LOG_LINES // 100 + 1):
            talker.log("x\n" * 100)
            clock.advance(seconds=1)
        await wait_until(lambda: log.line_count == LOG_LINES)
        assert (len(log.rows), log.earlier_lines) == (FIRST_LINES, LOG_LINES - FIRST_LINES)
        await tabs.send("b", BatchState, "show_earlier_lines")
        await wait_until(lambda: len(log.rows) == LOG_LINES)
        assert (log.earlier_lines, log.is_cut) == (0, True)


async def test_restarting_source_shows_attempt_and_errors() -> None:
    kind = SourceKind("refuse", "For tests.", Parameters, lambda *_: refuse())
    clock, timing = FakeClock("2026-03-01 12:00:30"), replace(FAST_RETRY, restart_delay=8)
    async with open_tabs(MemoryStorage(), clock, timing, refuse=kind) as tabs:
        log = await open_log(tabs, "refuse")
        page = await tabs.state("b", BatchState)
        await wait_until(lambda: page.retry_attempt == 1)
        assert (page.status, page.retry_seconds) == ("running", 8)
        assert page.retry_error == "ConnectionError: no answer"
        clock.advance(seconds=2.5)
        await wait_until(lambda: page.retry_seconds == 6)
        clock.advance(seconds=20)
        await wait_until(lambda: page.retry_seconds == 0)
        await tabs.send("b", BatchState, "filter_log", only_errors=True)
        await wait_until(lambda: [row["level"] for row in log.rows] == ["retry"])
        assert (log.line_count, log.error_count) == (2, 1)
        await tabs.service.stop("b")
        await wait_until(lambda: page.status == "stopped")
        assert (page.retry_attempt, page.retry_error) == (0, "")


async def test_next_batch_in_the_tab_has_its_own_log() -> None:
    async with open_tabs(MemoryStorage(), talker=Talker().kind, silent=silent) as tabs:
        log = await open_log(tabs, "talker")
        await tabs.send("b", BatchState, "filter_log", only_errors=True)
        await tabs.service.start("c", "silent")
        await tabs.open_batch_page("b", "c")
        await wait_until(lambda: shown(log) == ["Started with source silent."])
