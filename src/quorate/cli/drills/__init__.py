"""Rehearsals: a cluster on this machine is broken on purpose, and a person mends it."""
