"""The cluster duties of a server: bootstrap, joining, leadership, forwarding, regions."""
