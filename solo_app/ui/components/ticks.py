"""What the ticks have told: put together by ``assets/solo/ticks.js``, and used here."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex.event import no_args_event_spec

from solo_app.ui import browser
from solo_app.ui.states.batch import BatchState
from solo_app.ui.states.home import HomeState


def of_batch(function: str, *more: Any) -> rx.Var[Any]:
    """What a function makes of the ticks of the batch that is looked at."""
    return browser.function(function).call(BatchState.shown, BatchState.tick, *more)


def of_all(function: str, *more: Any) -> rx.Var[Any]:
    """What a function makes of the ticks of the first page."""
    return browser.function(function).call(HomeState.slots, HomeState.tick, *more)


class _CatchUp(rx.Component):
    library = "$/public/solo.js"
    tag = "CatchUp"

    missed: rx.Var[bool]
    on_missed: rx.EventHandler[no_args_event_spec]  # type: ignore[type-arg,valid-type]


def catch_up(missed: rx.Var[Any], on_missed: Any) -> rx.Component:
    """Asks to be told anew when the browser missed a tick; shows nothing."""
    return _CatchUp.create(missed=missed.to(bool), on_missed=on_missed)
