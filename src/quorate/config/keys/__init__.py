"""The keys that a configuration may have, and what each does."""
