"""The parts of the pages, one noun to a file."""
