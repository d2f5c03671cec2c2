"""Comparing the servers' states, and what follows where one differs."""
