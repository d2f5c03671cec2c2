"""The gossip keys and the root keys, and their rotation."""
