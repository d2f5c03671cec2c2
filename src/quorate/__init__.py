"""Quorate: a Nomad-compatible server control plane on a Raft library of its own.

The parts, from the bottom: `wire` and `storage` (bytes and disks), `raft` and `state` (pure),
`replica` (drives the pure parts with sockets, disks and clocks), `server` (the cluster's duties),
`api` (HTTP), `client`, `cli`. Imports go down this list only.
"""

__version__ = "0.1.0"
