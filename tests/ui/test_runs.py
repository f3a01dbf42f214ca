"""The page of a batch loads the runs that it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from solo_app.batches.live import Ticker
from solo_app.batches.model import Run
from solo_app.ui.states.watch import FIRST_RUNS, Watch
from tests.workbench import open_service, silent

pytestmark = pytest.mark.anyio

RUNS = FIRST_RUNS + 3


async def test_only_the_shown_runs_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_service(tmp_path / "solo.duckdb", silent=silent) as service:
        for _ in range(RUNS):
            await service.start("b", "silent")
            await service.stop("b")
        loaded: list[int] = []
        runs = service._store.runs

        async def counted(batch_no: int, offset: int, limit: int) -> list[Run]:
            found = await runs(batch_no, offset, limit)
            loaded.append(len(found))
            return found

        monkeypatch.setattr(service._store, "runs", counted)
        watch = Watch(service, "b")
        view = await watch.view(Ticker(service).snapshot())
        assert [run.number for run in view["runs"]] == list(range(RUNS, 3, -1))
        assert view["earlier_runs"] == 3
        assert loaded == [FIRST_RUNS]
        watch.shown_runs += 100
        view = await watch.view(Ticker(service).snapshot())
        assert [run.number for run in view["runs"]] == list(range(RUNS, 0, -1))
        assert view["earlier_runs"] == 0
