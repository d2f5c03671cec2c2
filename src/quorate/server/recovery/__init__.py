"""The recovery of a cluster whose servers run."""
