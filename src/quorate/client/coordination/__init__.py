"""Locks, elections and watches, on the calls of variables."""
