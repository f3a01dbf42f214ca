"""The command line. All commands except `check` send requests to a running app."""
