"""What a leader does besides replicating."""
