"""Events: changes of the state as they are told to readers (docs/events.md)."""
