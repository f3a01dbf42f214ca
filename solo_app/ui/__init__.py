"""The pages. They access the service only through their states."""
