"""The bytes of hashicorp/raft's transport and of log entries."""
