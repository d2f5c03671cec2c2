"""The calls of the API, as values: a request, and how its answer is read."""
