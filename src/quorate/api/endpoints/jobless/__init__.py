"""Answers of a server without jobs to clients that ask for them."""
