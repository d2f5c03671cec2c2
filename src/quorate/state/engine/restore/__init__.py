"""The restore of an archive: what becomes of each table, and its commands."""
