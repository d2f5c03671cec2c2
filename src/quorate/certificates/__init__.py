"""X.509 certificates of a cluster: made, read, and what their names say (docs/tls.md).

A certificate says what its holder is by its first DNS name: `server.<region>.<domain>`,
`client.<region>.<domain>` or `cli.<region>.<domain>`, as Nomad's do.
"""
