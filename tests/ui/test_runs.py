"""The batch page loads only the runs that it shows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from solo_app.batches.models import Run
from solo_app.batches.snapshots import Ticker
from solo_app.ui.state.batch_view import FIRST_RUNS, BatchView
from tests.helpers.service import open_service, silent

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
        view, ticker, hour = BatchView(service, "b"), Ticker(service), timedelta(hours=1)
        for _ in range(2):
            values = (await view.values(ticker.snapshot(), hour, FIRST_RUNS)).batch
        assert [run.number for run in values["runs"]] == list(range(RUNS, 3, -1))
        assert values["earlier_runs"] == 3
        assert loaded == [FIRST_RUNS]
        values = (await view.values(ticker.snapshot(), hour, FIRST_RUNS + 100)).batch
        assert [run.number for run in values["runs"]] == list(range(RUNS, 0, -1))
        assert values["earlier_runs"] == 0
