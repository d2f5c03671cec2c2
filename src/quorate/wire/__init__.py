"""Byte formats of the network: hashicorp/raft transport messages and their framing."""
