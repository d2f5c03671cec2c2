"""Simulated clusters that lose their quorum, and whose survivors are recovered by force."""
