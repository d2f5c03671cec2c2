"""One agent process put together: configuration, server, API, logs, signals."""
