"""The components of the pages, one per module."""
