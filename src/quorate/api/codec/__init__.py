"""From bytes to values and back: query strings, bodies, headers, JSON."""
