"""Files on disk: the log with vote and term, snapshots, the identity of a data folder."""
