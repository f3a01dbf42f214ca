"""Failing writes are retried until they succeed; waiting callers receive the reason."""

from __future__ import annotations

import asyncio

import pytest

from solo_app.batches.errors import ServiceClosedError, StoreUnavailableError
from solo_app.batches.timing import Timing
from solo_app.batches.write_retry import WriteRetry
from tests.helpers.memory_storage import Gate
from tests.helpers.service import wait_until

pytestmark = pytest.mark.anyio

TIMING = Timing(retry_interval=0.001, write_timeout=0.01)


@pytest.fixture
def retry() -> WriteRetry:
    return WriteRetry(TIMING)


def start_write(retry: WriteRetry, gate: Gate) -> asyncio.Task[None]:
    return asyncio.create_task(retry.run("Commit", gate.pass_through))


async def test_failing_write_is_retried_and_logged_once(
    retry: WriteRetry, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    gate.fail("no room")
    write = start_write(retry, gate)
    await wait_until(lambda: gate.calls > 3)
    assert retry.error == "no room"
    gate.open()
    await write
    assert retry.error is None
    assert caplog.messages == ["Commit failed, retrying: no room"]


async def test_unexpected_error_is_logged_with_its_traceback(
    retry: WriteRetry, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    gate.fail(LookupError("unexpected"))
    write = start_write(retry, gate)
    await wait_until(lambda: retry.error == "unexpected")
    gate.open()
    await write
    assert caplog.records[0].exc_info


async def test_oldest_error_is_reported(retry: WriteRetry) -> None:
    first, second = Gate(), Gate()
    writes = []
    for gate, reason in ((first, "first"), (second, "second")):
        gate.fail(reason)
        writes.append(start_write(retry, gate))
        await wait_until(lambda gate=gate: gate.calls)  # type: ignore[misc]
    assert retry.error == "first"
    first.open()
    await wait_until(lambda: retry.error == "second")
    second.open()
    await asyncio.gather(*writes)


async def test_caller_waits_for_a_write_that_fails_once(retry: WriteRetry) -> None:
    gate = Gate()
    gate.fail("no room")
    write = start_write(retry, gate)
    await wait_until(lambda: retry.error)
    gate.open()
    await retry.wait_for(write, grace_period=60)


async def test_caller_receives_the_reason_after_the_grace_period(retry: WriteRetry) -> None:
    gate = Gate()
    gate.fail("no room")
    write = start_write(retry, gate)
    await wait_until(lambda: retry.error)
    with pytest.raises(StoreUnavailableError, match="Writes are failing: no room"):
        await retry.wait_for(write, grace_period=0.01)
    assert not write.done()
    gate.open()
    await write


async def test_caller_does_not_wait_for_a_write_that_never_completes(retry: WriteRetry) -> None:
    gate = Gate()
    gate.hold()
    write = start_write(retry, gate)
    with pytest.raises(StoreUnavailableError, match="does not complete"):
        await retry.wait_for(write)
    gate.open()
    await write


async def test_cancelled_write_ends_the_wait(retry: WriteRetry) -> None:
    gate = Gate()
    gate.hold()
    write = start_write(retry, gate)
    await wait_until(lambda: gate.waiting)
    write.cancel()
    with pytest.raises(ServiceClosedError):
        await retry.wait_for(write, grace_period=60)
