"""The chain of audit records: how it is made and how it is checked. Pure."""
