"""The pages. They know the service through their states only."""
