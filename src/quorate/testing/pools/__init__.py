"""Simulated clusters of whole servers: Raft, gossip, the directory, and what a leader decides.

The world below (`quorate.testing.sim`) is the same: real Raft nodes on virtual time, each step
checked. Here every server also is a member of a gossip pool, moves to other places, is wiped,
copied and removed; and the leader runs `quorate.autopilot` on what the pool says.
"""
