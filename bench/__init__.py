"""Benchmarks: what this project does at speed and scale, beside the template's way.

``python -m bench`` runs them all. Each module with a function ``measure`` is one benchmark; the
registry names them. A benchmark is not a test: it tells times and never fails because of one.
"""
