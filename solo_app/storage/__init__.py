"""Implementations of `solo_app.batches.storage.Storage`."""
