"""The agent configuration: files, flags, defaults, merging and checking."""
