"""What all tables stand on: rows, commands, snapshots, digests, and what a version knows."""
