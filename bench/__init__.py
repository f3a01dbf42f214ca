"""Benchmarks of the app and of a baseline: ``python -m bench``. They measure and assert nothing."""
