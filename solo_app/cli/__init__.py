"""The command line. All commands except `check` use the HTTP API of a running app."""
