"""What a server shows of itself and of the cluster."""
