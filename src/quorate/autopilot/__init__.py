"""What a leader decides about servers, as functions of values: pure."""
