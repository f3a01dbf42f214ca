"""The source ``push`` ends its run after a time without points."""

from __future__ import annotations

import pytest

from solo_app.batches.errors import InvalidConfigurationError
from solo_app.batches.models import RestartPolicy
from solo_app.sources.push import PUSH


@pytest.mark.parametrize("value", [-1, float("nan"), "5", None, True, 10**400])
def test_invalid_idle_time_is_refused(value: object) -> None:
    with pytest.raises(InvalidConfigurationError) as error_info:
        PUSH.parse({"idle_seconds": value})
    assert list(error_info.value.errors) == ["parameters.idle_seconds"]


def test_run_does_not_end_by_default() -> None:
    assert PUSH.parse({}).model_dump() == {"idle_seconds": 0}
    assert PUSH.restart is RestartPolicy.NEVER


@pytest.mark.anyio
async def test_run_ends_after_the_idle_time() -> None:
    class Run:
        """A run whose time without points increases by a tenth of a second each time."""

        reads = 0

        @property
        def idle_seconds(self) -> float:
            self.reads += 1
            return 0.01 * self.reads

        def log(self, text: str) -> None:
            raise AssertionError(text)

    run = Run()
    assert [number async for number in PUSH.read(PUSH.parse({"idle_seconds": 0.03}), run)] == []
    assert run.reads == 3
