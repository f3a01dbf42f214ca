"""The HTTP API. Knows the service, not the pages."""
