"""The formats of log lines, and the listeners of the log."""
