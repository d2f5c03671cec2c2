"""The table of commands, by the thing they act on."""
