"""The Raft consensus core: events in, effects out, no I/O, no clock, no randomness of its own."""
