"""Views of a server on itself and on the cluster."""
