"""The store: a journal of Parquet segments, archives of DuckDB, and views that are the public API."""
