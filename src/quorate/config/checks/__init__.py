"""Checks of a configuration, and the addresses that it means."""
