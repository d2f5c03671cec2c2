"""`operator recover ...`, and `operator raft salvage`: a cluster without a quorum."""
