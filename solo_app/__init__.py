"""SOLO: a live console for background data batches."""
