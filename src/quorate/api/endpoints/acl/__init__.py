"""`/v1/acl/`: bootstrap, tokens, policies and roles (docs/acl.md)."""
