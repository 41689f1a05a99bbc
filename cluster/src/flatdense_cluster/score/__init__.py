"""Bulk scoring: every image of a folder or of an array on disk, once, into a table of Parquet."""
