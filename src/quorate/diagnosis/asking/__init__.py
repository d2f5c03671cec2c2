"""Servers are asked over HTTP, all at once, within a time that nothing extends."""
