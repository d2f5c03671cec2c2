"""The duties of a leader besides replication."""
