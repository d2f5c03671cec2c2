"""What a follower, a candidate and a leader do."""
