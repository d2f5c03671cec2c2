"""How a client reaches a server: addresses, the environment, TLS, HTTP."""
