"""Archives of the state: saved on one server, restored by the leader."""
