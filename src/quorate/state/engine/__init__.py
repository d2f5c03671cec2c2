"""The engine of all tables: rows, commands, snapshots, digests, and the registry of a version."""
