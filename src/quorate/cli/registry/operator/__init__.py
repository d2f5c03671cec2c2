"""The commands of `quorate operator`."""
