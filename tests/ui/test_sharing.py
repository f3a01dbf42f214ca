"""What tabs are told that know the same is worked out once; one that came later gets its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from solo_app.batches.live import Ticker
from solo_app.ui.states.overview import Overview
from solo_app.ui.states.watch import Watch
from tests.workbench import open_bench, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["first page", "batch"])
async def test_it_is_the_very_same_for_those_who_know_the_same(tmp_path: Path, kind: str) -> None:
    async with open_bench(tmp_path) as bench:
        service = bench.service
        batch = await service.start("b")
        pages: list[Overview | Watch] = [
            Overview(service) if kind == "first page" else Watch(service, "b") for _ in range(3)
        ]
        early, also_early, late = pages
        ticker = Ticker(service)
        came = []
        for number, others in enumerate(([also_early], [also_early, late], [also_early, late]), 1):
            bench.clock.advance(seconds=1)
            bench.script.say(bench.clock.now, number)
            await until(lambda number=number: service.row_count(batch) == number)  # type: ignore[misc]
            snapshot = ticker._made_now()
            seen = await early.view(snapshot)
            same, *later = [await other.view(snapshot) for other in others]
            assert same["tick"] is seen["tick"]
            if kind == "batch":
                assert same["minute"] is seen["minute"]
            came += [view["tick"] is seen["tick"] for view in later]
        # It was told all there is to show at first, and knows the same from then on.
        assert came == [False, True]
