"""Checks before `reflex run` starts anything: settings, ports, database."""


def check_before_run(argv: list[str]) -> None:
    """Nothing yet."""
