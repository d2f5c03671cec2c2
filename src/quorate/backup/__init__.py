"""Backups without a server: schedules, targets, and the check of a file at a target."""
