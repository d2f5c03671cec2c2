"""The replicated state machine: tables, the commands that change them, and their snapshots."""
