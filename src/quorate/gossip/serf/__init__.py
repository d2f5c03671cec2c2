"""Serf on top of SWIM: intents, events, queries, conflicts."""
