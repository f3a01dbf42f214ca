"""The heart: batches, their runs and points. Knows neither Reflex nor HTTP."""
