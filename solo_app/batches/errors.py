"""Domain errors, by subject.

SoloError
  InvalidBatchIdError, BatchNotFoundError, BatchRunningError, BatchNotEndedError,
  BatchLimitReachedError
  SeqNotReachedError, WindowOutOfRangeError
  BatchEndedError, SourceMismatchError, PushInProgressError, IdempotencyKeyReusedError
  UnknownSourceError, InvalidConfigurationError, BadNumberError, SourceError
  StoreUnavailableError, ServiceClosedError
"""

from __future__ import annotations

from collections.abc import Mapping


class SoloError(Exception):
    """Base class of all errors. ``str()`` returns a message for users."""


class InvalidBatchIdError(SoloError):
    """The text is not a valid batch id. ``rule`` describes valid ones."""

    rule = (
        "Use 1 to 64 letters, digits, dots, underscores or hyphens, "
        "beginning with a letter or digit."
    )

    def __init__(self, batch_id: str) -> None:
        super().__init__(self.rule if batch_id else f"Enter a name for the batch. {self.rule}")


class BatchNotFoundError(SoloError):
    def __init__(self, batch_id: str) -> None:
        super().__init__(f'Batch "{batch_id}" not found.')


class BatchRunningError(SoloError):
    def __init__(self, batch_id: str) -> None:
        super().__init__(f"{batch_id} is already running.")


class BatchEndedError(SoloError):
    """A client pushes to a batch that does not accept points until it is started again."""

    def __init__(self, batch_id: str, status: str) -> None:
        super().__init__(f"{batch_id} has ended ({status}). Start it again to push points.")


class SourceMismatchError(SoloError):
    """A client pushes to a batch with another source."""

    def __init__(self, batch_id: str, source: str) -> None:
        super().__init__(
            f"{batch_id} has the source {source}. Points can be pushed only to batches with the "
            "source push."
        )


class PushInProgressError(SoloError):
    def __init__(self) -> None:
        super().__init__(
            "A request with this Idempotency-Key is in progress. Repeat the request later to "
            "receive its response."
        )


class IdempotencyKeyReusedError(SoloError):
    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used with another body. Use a new key for each new body."
        )


class BatchNotEndedError(SoloError):
    def __init__(self, batch_id: str) -> None:
        super().__init__(f"{batch_id} is running. Stop it to delete it.")


class BatchLimitReachedError(SoloError):
    """All slots are occupied. ``running`` lists the running batches."""

    def __init__(self, limit: int, running: list[str]) -> None:
        super().__init__(f"{limit} batches are running. Stop one to start another.")
        self.limit = limit
        self.running = running


class SeqNotReachedError(SoloError):
    """A client resumes after a point that does not exist yet."""

    def __init__(self, batch_id: str, seq: int, last_seq: int) -> None:
        super().__init__(
            f'Batch "{batch_id}" has no point {seq}; its last point is {last_seq}. '
            "Reconnect without a position to continue with the next point."
        )


class UnknownSourceError(SoloError):
    def __init__(self, source: str, known: list[str]) -> None:
        super().__init__(f'Unknown source "{source}". Available: {", ".join(known)}.')


class InvalidConfigurationError(SoloError):
    """The configuration of a batch is invalid.

    ``errors`` has a message for each invalid field, such as ``unit`` or ``parameters.interval``.
    """

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(" ".join(f"{field}: {message}." for field, message in errors.items()))
        self.errors = dict(errors)


class BadNumberError(SoloError):
    """A source yielded a value that is not a finite number."""

    def __init__(self, value: object) -> None:
        shown = repr(value)
        if len(shown) > 80:
            shown = shown[:77] + "..."
        super().__init__(f"The source returned {shown}, which is not a finite number.")


class SourceError(SoloError):
    """A source cannot read a number. The message states why."""


class WindowOutOfRangeError(SoloError):
    """The time has no preceding full minute, or the range is empty or too long."""


class StoreUnavailableError(SoloError):
    """The database cannot be opened, read or written. The message states what to do."""


class ServiceClosedError(SoloError):
    def __init__(self) -> None:
        super().__init__("The app is shutting down.")
