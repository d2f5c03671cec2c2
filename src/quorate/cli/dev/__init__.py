"""A cluster on one machine: planning (pure), processes, waiting, and what to say."""
