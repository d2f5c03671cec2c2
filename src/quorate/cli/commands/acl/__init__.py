"""`quorate acl`: tokens, policies and roles (docs/acl.md)."""
