"""Who belongs to the cluster: discovery, founding, joining, leaving, the directory."""
