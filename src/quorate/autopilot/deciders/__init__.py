"""One decider a file: facts in, actions out."""
