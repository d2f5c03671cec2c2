"""Access control of one server: who calls, and what the leader does for it."""
