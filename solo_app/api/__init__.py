"""The HTTP API. It depends on the service, not on the pages."""
