"""Messages of errors are sentences for users."""

from __future__ import annotations

import pytest

from solo_app.batches.errors import (
    BadNumberError,
    BatchLimitReachedError,
    BatchNotFoundError,
    BatchRunningError,
    InvalidBatchIdError,
    SeqNotReachedError,
    ServiceClosedError,
    SoloError,
    UnknownSourceError,
)


@pytest.mark.parametrize(
    "error",
    [
        BadNumberError("x" * 1_000),
        BatchLimitReachedError(5, ["a"]),
        BatchNotFoundError("b"),
        BatchRunningError("b"),
        InvalidBatchIdError(""),
        InvalidBatchIdError("~"),
        SeqNotReachedError("b", 5, 3),
        ServiceClosedError(),
        UnknownSourceError("x", ["random"]),
    ],
)
def test_message_is_a_sentence(error: SoloError) -> None:
    assert str(error).endswith(".")
