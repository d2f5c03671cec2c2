"""The bytes of Serf's messages, filters and tags."""
