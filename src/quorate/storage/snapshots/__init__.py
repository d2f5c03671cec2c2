"""Snapshots on disk: their metadata, writing and listing."""
