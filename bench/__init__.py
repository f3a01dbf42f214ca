"""Benchmarks of the app and of a baseline: ``python -m bench``. They assert nothing."""
