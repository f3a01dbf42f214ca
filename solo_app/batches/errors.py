"""One tree of errors, each wording itself for the person who meets it."""

from __future__ import annotations


class SoloError(Exception):
    """Whatever this project refuses or cannot do; ``str()`` of it is fit for people."""


class InvalidBatchIdError(SoloError):
    """The text is no batch_id; ``rule`` says what one is."""

    rule = (
        "Use 1 to 64 letters, digits, dots, underscores or hyphens, "
        "beginning with a letter or digit."
    )

    def __init__(self, batch_id: str) -> None:
        super().__init__(self.rule if batch_id else f"Give the batch a name. {self.rule}")
        self.batch_id = batch_id


class BatchNotFoundError(SoloError):
    """No batch of that name was ever started."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(f'Batch "{batch_id}" not found.')
        self.batch_id = batch_id


class BatchRunningError(SoloError):
    """The batch has its one task already."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(f'Batch "{batch_id}" is already running.')
        self.batch_id = batch_id


class BatchLimitReachedError(SoloError):
    """Every slot is taken; ``running`` names the batches that hold them."""

    def __init__(self, limit: int, running: list[str]) -> None:
        super().__init__(f"{limit} batches are already running. Stop one to start another.")
        self.limit = limit
        self.running = running


class SeqNotReachedError(SoloError):
    """A reader resumes after a point that the batch does not have."""

    def __init__(self, batch_id: str, seq: int, last_seq: int) -> None:
        super().__init__(
            f'Batch "{batch_id}" has no point {seq}; its last point is {last_seq}. '
            "Reconnect without a position to continue with the next point."
        )


class UnknownSourceError(SoloError):
    """No source of that name is known."""

    def __init__(self, source: str, known: list[str]) -> None:
        super().__init__(f'Unknown source "{source}". Available: {", ".join(known)}.')


class BadNumberError(SoloError):
    """A source gave what is no finite number."""

    def __init__(self, value: object) -> None:
        shown = repr(value)
        if len(shown) > 80:
            shown = shown[:77] + "..."
        super().__init__(f"The source returned {shown}, which is not a finite number.")


class WindowOutOfRangeError(SoloError):
    """A time that leaves no whole minute before it, or a span that is empty or too long."""


class StoreUnavailableError(SoloError):
    """The database cannot be opened or used; the text says what to do about it."""


class ServiceClosedError(SoloError):
    """The app is shutting down and starts nothing any more."""

    def __init__(self) -> None:
        super().__init__("The app is shutting down.")
