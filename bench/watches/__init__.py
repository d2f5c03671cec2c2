"""Watches that wait: their memory, and how soon one is woken beside writes of other keys."""
