"""One agent process put together: configuration, server, API, signals."""
