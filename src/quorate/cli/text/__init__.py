"""How the command line prints: tables, templates, durations, streams."""
