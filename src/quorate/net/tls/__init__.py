"""TLS: certificates as files say, exchanged while running, on accepted and dialed connections."""
