"""Stand-in for the state of the page of one batch, until the branch with it is merged."""

from __future__ import annotations

from typing import TypedDict

import reflex as rx

from solo_app.ui import strings


class ChartMinute(TypedDict):  # noqa: D101
    t: int
    average: float | None
    range: list[float] | None


class MinuteRow(TypedDict):  # noqa: D101
    t: int
    average: float
    min: float
    max: float
    count: int


class Gap(TypedDict):  # noqa: D101
    start: int
    end: int


class MinutesState(rx.State):  # noqa: D101
    minutes: rx.Field[list[ChartMinute]] = rx.field(default_factory=list)
    table: rx.Field[list[MinuteRow]] = rx.field(default_factory=list)
    minute_count: int = 0
    gaps: rx.Field[list[Gap]] = rx.field(default_factory=list)
    start: int = 0
    end: int = 0


class BatchState(rx.State):  # noqa: D101
    batch_id: str = ""
    ended: int | None = None
    span: str = rx.SessionStorage(str(strings.FIRST_SPAN), name="solo-minutes")

    @rx.event
    def show_span(self, minutes: int) -> None:
        """Show this number of the last whole minutes."""
        self.span = str(minutes)
