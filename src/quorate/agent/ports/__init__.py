"""The ports that an agent serves, and the certificates with which it does."""
