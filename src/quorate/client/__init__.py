"""A typed client of the HTTP API; works against any compatible server."""
