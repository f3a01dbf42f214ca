"""The pages: their components can be created and rendered."""

from __future__ import annotations

from solo_app.config import Settings
from solo_app.sources import create_sources
from solo_app.ui.pages import loading_screen
from solo_app.ui.pages.batch import batch_page
from solo_app.ui.pages.home import home_page
from solo_app.ui.pages.not_found import not_found_page


def test_all_pages_render() -> None:
    sources = create_sources(Settings())
    for page in (home_page(sources), batch_page(), not_found_page(), loading_screen()):
        assert page.render()
