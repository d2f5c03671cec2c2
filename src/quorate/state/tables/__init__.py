"""One file a table: its record, and the commands that change it."""
