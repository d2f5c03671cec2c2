"""The tables of ACL: tokens, roles, policies, which tokens were deleted, and how it stands."""
