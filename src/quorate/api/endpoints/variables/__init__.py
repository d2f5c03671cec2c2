"""Variables: lists, single ones, several in one write."""
