"""The values of variables are sealed before they are replicated, and opened where they are read."""
