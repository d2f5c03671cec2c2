"""Data folders of servers that do not run: looked at, mended, recovered. No event loop."""
