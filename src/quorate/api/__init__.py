"""The HTTP API: routes, decoding, encoding, status codes. No cluster logic."""
