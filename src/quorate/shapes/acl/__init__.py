"""Shapes of access control."""
