"""Stores: implementations of `solo_app.batches.storage.Storage`."""
