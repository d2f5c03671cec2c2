"""The commands below `namespace`."""
