"""The RPC port and what servers ask of each other over it."""
