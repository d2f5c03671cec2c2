"""The shapes of the API's JSON: one record each, for the server, its answers, and the client."""
