"""The data folder: its lock, its identity and its small files."""
