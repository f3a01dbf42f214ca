"""What tells a pause of the machine from a program that is late by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count, pairwise
from pathlib import Path

import pytest

from bench import lags
from bench.lags import Beats
from bench.pauses import Pause, _pause, at_once, processors, running_on, within
from tests.helpers.running_app import PROJECT
from tests.helpers.service import wait_until

_SLEEP = """
import sys
from pathlib import Path
from bench import pauses
pauses._LOOKS_AFTER = 10
print("sleeps", flush=True)
for pause in pauses.oversleep(int(sys.argv[1]), Path(sys.argv[2])):
    print(pause.began, pause.ended)
"""


@pytest.mark.skipif(not processors(), reason="the system does not let pauses be told from waits")
def test_a_process_that_sleeps_knows_when_it_was_stopped(tmp_path: Path) -> None:
    going_on = tmp_path / "going on"
    going_on.touch()
    sleeper = subprocess.Popen(
        [sys.executable, "-c", _SLEEP, str(processors()[0]), going_on],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sleeper.stdout
    assert sleeper.stdout.readline() == "sleeps\n"
    time.sleep(0.1)
    os.kill(sleeper.pid, signal.SIGSTOP)
    stopped = time.monotonic()
    time.sleep(0.3)
    goes_on = time.monotonic()
    os.kill(sleeper.pid, signal.SIGCONT)
    time.sleep(0.1)
    going_on.unlink()
    told = [
        Pause(*map(float, line.split())) for line in sleeper.communicate(timeout=30)[0].splitlines()
    ]
    assert sum(within(told, stopped, goes_on)) > 0.15
    assert all(one.ended <= other.began for one, other in pairwise(told))


@pytest.mark.parametrize(
    ("due", "woke", "waited", "paused"),
    [
        (10.0, 10.0005, 0.0, []),
        (10.0, 10.03, 0.0, [(10.0, 10.03)]),
        (10.0, 10.03, 0.03, []),
        # It waited when the machine ran again: the pause was before.
        (10.0, 10.03, 0.01, [(10.0, 10.02)]),
    ],
)
def test_who_waited_for_the_processor_did_not_pause_meanwhile(
    due: float, woke: float, waited: float, paused: list[tuple[float, float]]
) -> None:
    told = _pause(due, woke, waited)
    assert [(p.began, p.ended) for p in told] == [pytest.approx(p) for p in paused]


@pytest.mark.parametrize(
    ("watched", "common"),
    [
        ([], []),
        ([[(0, 1), (3, 5)]], [(0, 1), (3, 5)]),
        ([[(0, 1), (3, 5)], []], []),
        ([[(0, 1), (3, 5)], [(0.5, 4), (4.5, 6)]], [(0.5, 1), (3, 4), (4.5, 5)]),
        ([[(0, 2)], [(1, 3)], [(2, 4)]], []),
        ([[(0, 3)], [(1, 4)], [(2, 5)]], [(2, 3)]),
    ],
)
def test_the_machine_pauses_while_all_its_processors_do(
    watched: list[list[tuple[float, float]]], common: list[tuple[float, float]]
) -> None:
    paused = at_once([[Pause(*times) for times in pauses] for pauses in watched])
    assert [(pause.began, pause.ended) for pause in paused] == common


def test_of_a_time_only_what_lies_in_it_is_a_pause() -> None:
    paused = [Pause(0, 1), Pause(2, 3), Pause(5, 9)]
    assert within(paused, 0.5, 6) == [0.5, 1, 1]
    assert within(paused, 3, 5) == []


@pytest.mark.parametrize(
    ("paused", "left"),
    [
        ([], 40),
        ([Pause(99.97, 99.98)], 30),
        ([Pause(99.90, 99.97)], 30),
        ([Pause(99.965, 99.975), Pause(99.98, 99.99)], 20),
        ([Pause(99.95, 100.05)], 4),
        ([Pause(100, 101)], 40),
    ],
)
def test_of_a_lag_only_the_pauses_in_it_are_left_out(paused: list[Pause], left: float) -> None:
    beats = Beats(95, 105, [1.0, 4.0, 40.0], [(100.0, 40.0, 0.0, None)])
    assert beats.longest_without_pauses(paused) == pytest.approx(left)


@pytest.mark.parametrize(
    ("on", "left"),
    [
        (0, 20),
        (1, 30),
        (None, 35),  # It was on one before and on another after: what both had is left out.
        (7, 35),  # One that is not watched.
    ],
)
def test_of_a_lag_the_pauses_of_the_processor_are_left_out_that_the_loop_was_on(
    on: int | None, left: float
) -> None:
    paused = {0: [Pause(99.97, 99.99)], 1: [Pause(99.965, 99.975)]}
    beats = Beats(95, 105, [1.0, 4.0, 40.0], [(100.0, 40.0, 0.0, on)])
    assert beats.longest_without_pauses_of_its_processor(paused) == pytest.approx(left)


@pytest.mark.skipif(not processors(), reason="the system does not tell which one a thread is on")
def test_a_thread_knows_the_processor_that_it_runs_on() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        for processor in allowed:
            os.sched_setaffinity(0, {processor})
            assert running_on() == processor
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(("waited", "left"), [(0, 40), (10, 40), (25, 25), (50, 4)])
def test_of_a_lag_only_the_wait_is_left_out_that_cannot_have_been_before(
    waited: float, left: float
) -> None:
    beats = Beats(95, 105, [1.0, 4.0, 40.0], [(100.0, 40.0, waited, None)])
    assert beats.longest_without_waits() == pytest.approx(left)


@pytest.mark.anyio
@pytest.mark.parametrize(("running_on", "on"), [(lambda: 5, 5), (count().__next__, None)])
async def test_a_loop_that_is_held_up_notes_when_where_and_for_how_long(
    running_on: Callable[[], int], on: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lags, "EVERY", 0.2)
    monkeypatch.setattr(lags, "running_on", running_on)
    file = tmp_path / "lags"
    task = asyncio.create_task(lags.note(file))
    await asyncio.sleep(0.05)
    began = time.monotonic()
    time.sleep(0.1)  # noqa: ASYNC251 (to hold the loop up is what this is about)
    ended = time.monotonic()
    await wait_until(lambda: file.exists() and len(lags.noted(file)) > 1)
    woken = time.monotonic()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    first, second = lags.noted(file)[:2]
    assert first.ended == second.began
    assert max(first.late) > 80
    woke, lag, waited, was_on = max(first.long, key=lambda long: long[1])
    assert lag == max(first.late)
    assert was_on == on
    # It may have been due a moment before.
    assert began - 0.01 < woke - lag / 1000 < ended <= woke < woken
    assert 0 <= waited < 1000 * (woken - began)
    with file.open("a") as lines:
        lines.write("[1, 2, [")  # Just being written.
    assert lags.noted(file)[:2] == [first, second]
