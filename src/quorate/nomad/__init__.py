"""Readers of the files of real Nomad servers."""
