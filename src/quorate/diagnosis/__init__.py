"""Why there is no leader: facts of servers and data folders in, named causes out."""
