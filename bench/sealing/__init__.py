"""What sealing costs: see `__main__`."""
