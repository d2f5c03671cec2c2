"""The audit of operators' acts: who acts, local files, refusals, file sinks (docs/audit.md)."""
