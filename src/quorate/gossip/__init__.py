"""Finding each other: SWIM as memberlist does it, and Serf on top; events in, effects out."""
