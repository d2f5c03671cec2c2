"""The backups of a cluster: made, verified and removed by its leader (docs/backups.md)."""
