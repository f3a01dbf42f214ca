"""The pages, each a short sentence of components."""

import reflex as rx


def add_pages(app: rx.App) -> None:
    """Add every page to the app."""
    app.add_page(lambda: rx.el.main(rx.el.h1("SOLO")), route="/")
