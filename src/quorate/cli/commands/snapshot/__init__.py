"""The commands below `operator snapshot`."""
