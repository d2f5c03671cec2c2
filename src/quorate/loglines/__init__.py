"""What a line of the log looks like, and who listens to the log."""
