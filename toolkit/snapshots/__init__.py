"""Snapshots: pseudonymous Parquet files with a manifest, and what changed between two."""
