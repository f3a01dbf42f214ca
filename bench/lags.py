"""Where a process that is watched notes how late its event loop is, and how often."""

VARIABLE = "BENCH_LAGS"
"""The variable that names the file: a line of JSON for every ``EVERY`` seconds."""

EVERY = 10.0
