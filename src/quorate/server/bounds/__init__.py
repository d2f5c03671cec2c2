"""How large the state may become, and what makes it large."""
