"""Archives of snapshots: their form, writing and checking. Without an event loop."""
