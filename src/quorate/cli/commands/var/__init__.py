"""`quorate var ...` (docs/variables.md)."""
