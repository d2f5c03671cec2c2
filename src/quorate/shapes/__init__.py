"""What the API's JSON looks like: one record each, for the server, its answers, and the client."""
