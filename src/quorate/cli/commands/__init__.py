"""One module per family of commands; each function takes a Context and returns an exit code."""
