"""Values that the core, storage and wire share: entries, messages, configurations, identities."""
