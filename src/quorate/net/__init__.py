"""Connections between servers: dialing and accepting them so that both sides are proven."""
