"""The Raft log in segment files: records, replay, truncation, scrubbing."""
