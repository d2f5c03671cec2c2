"""The commands of certificates. No agent is asked."""
