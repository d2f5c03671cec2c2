"""A simulator of whole clusters: one seed, one life, the same every time.

`python -m quorate.testing.sim --help` runs it; docs/verification.md tells what it checks.
"""
