"""The DuckDB store: the only code that uses DuckDB."""
