"""What tells a pause of the machine from a program that is late by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from bench import lags
from bench.lags import Beats
from bench.pauses import Pause, at_once, processors, within
from tests.running_app import PROJECT

_SLEEP = """
import sys
from bench.pauses import oversleep
print("sleeps", flush=True)
print([p.seconds for p in oversleep(int(sys.argv[1]), 0.6)])
"""


@pytest.mark.skipif(not processors(), reason="the system has no way to choose a processor")
def test_a_process_that_sleeps_knows_for_how_long_it_was_stopped() -> None:
    sleeper = subprocess.Popen(
        [sys.executable, "-c", _SLEEP, str(processors()[0])],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sleeper.stdout
    assert sleeper.stdout.readline() == "sleeps\n"
    time.sleep(0.1)
    os.kill(sleeper.pid, signal.SIGSTOP)
    time.sleep(0.2)
    os.kill(sleeper.pid, signal.SIGCONT)
    told = [float(seconds) for seconds in sleeper.communicate()[0].strip("[]\n").split(",")]
    assert any(seconds > 0.19 for seconds in told)
    assert sum(told) < 0.6


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
    assert within(paused, 0.5, 6) == 0.5 + 1 + 1
    assert within(paused, 3, 5) == 0


@pytest.mark.parametrize(
    ("waited", "paused", "own"),
    [
        (0, [], 40),
        (10, [], 30),
        (10, [Pause(99.97, 99.98)], 30),  # The wait may have been that very pause.
        (10, [Pause(99.97, 99.985)], 25),
        (0, [Pause(99.90, 99.97)], 30),
        (0, [Pause(100, 101)], 40),
        (50, [], 4),  # What it waited for before it slept is no part of the lag.
    ],
)
def test_a_lag_is_the_programs_own_but_for_pauses_and_waits(
    waited: float, paused: list[Pause], own: float
) -> None:
    beats = Beats([1.0, 4.0, 40.0], [(100.0, 40.0, waited)])
    assert beats.longest_own(paused) == pytest.approx(own)


@pytest.mark.anyio
async def test_a_loop_that_is_held_up_notes_when_and_for_how_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lags, "_EVERY", 0.2)
    task = asyncio.create_task(lags.note(tmp_path / "lags"))
    await asyncio.sleep(0.05)
    time.sleep(0.1)  # noqa: ASYNC251 (to hold the loop up is what this is about)
    ended = time.monotonic()
    await asyncio.sleep(0.3)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    first = lags.noted(tmp_path / "lags")[0]
    assert max(first.late) > 80
    woke, lag, waited = max(first.long, key=lambda long: long[1])
    assert lag == max(first.late)
    assert abs(woke - ended) < 0.05
    assert waited < lag
    assert first.longest_own([]) > 50
