"""Handlers below /v1/operator/."""
