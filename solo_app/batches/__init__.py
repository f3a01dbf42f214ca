"""The domain: batches, their runs and points. Independent of Reflex, HTTP and the database."""
