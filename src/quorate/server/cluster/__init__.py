"""Membership of the cluster: discovery, founding, joining, leaving, the directory."""
