"""The states of the pages, one instance per browser tab. They contain no business logic."""
