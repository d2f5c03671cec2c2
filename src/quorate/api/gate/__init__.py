"""The gate: what a caller's token allows of the table of endpoints (docs/acl.md)."""
