"""Commands below `quorate operator`."""
